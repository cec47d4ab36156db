package proxy

import (
	"encoding/binary"
	"hash/crc32"
	"net/netip"
	"unicode"
	"unicode/utf8"
)

// Offsets and sizes of version 2.
const (
	head2    = 16 // before the addresses
	atCmd    = 12
	atFamily = 13
	atLength = 14
	tlvHead  = 3
)

// Values of version 2.
const (
	version2 = 0x2
	cmdLocal = 0x0
	cmdProxy = 0x1

	famUnspec = 0x00
	famTCP4   = 0x11
	famTCP6   = 0x21
	famUnix   = 0x31

	tlvAuthority  = 0x02
	tlvCRC32C     = 0x03
	tlvSSL        = 0x20
	tlvSSLVersion = 0x21
	tlvSSLCN      = 0x22

	sslClient   = 0x01 // the client used TLS
	sslCertConn = 0x02 // it showed a certificate on this connection
	sslCertSess = 0x04 // or on the one whose TLS session is resumed
)

// parse2 reads version 2:
//
//	 0       12        13        14          16
//	|signature|ver|cmd |fam|proto |length (16)|addresses, then TLVs|
//
// Addresses are 12 bytes for TCP over IPv4 (source, destination, two ports), 36
// for IPv6, 216 for Unix. Each TLV is a type (8), a length (16) and the value.
func parse2(b []byte) (h Header, n int, err error) {
	if len(b) > atCmd {
		if b[atCmd]>>4 != version2 || b[atCmd]&0xf > cmdProxy {
			return h, 0, malformed("version or command %#x", b[atCmd])
		}
	}
	if len(b) < head2 {
		return h, 0, nil
	}
	n = head2 + int(binary.BigEndian.Uint16(b[atLength:]))
	switch {
	case n > MaxHeader:
		return h, 0, malformed("longer than %d bytes", MaxHeader)
	case len(b) < n:
		return h, 0, nil
	case b[atCmd]&0xf == cmdLocal:
		return Header{Local: true}, n, nil
	}
	rest, err := h.addresses(b[atFamily], b[head2:n])
	if err == nil && !h.Local {
		err = h.fields(b[:n], rest)
	}
	if err != nil {
		return Header{}, 0, err
	}
	return h, n, nil
}

// addresses reads what family says is there, and returns the TLVs behind it.
func (h *Header) addresses(family byte, b []byte) (rest []byte, err error) {
	size := 0
	switch family {
	case famUnspec, famUnix:
		h.Local = true // there is an owner, but no address that means anything here
		return nil, nil
	case famTCP4:
		size = 4
	case famTCP6:
		size = 16
	default:
		return nil, malformed("family and protocol %#x", family)
	}
	if len(b) < 2*size+4 {
		return nil, malformed("addresses end early")
	}
	source, _ := netip.AddrFromSlice(b[:size])
	dest, _ := netip.AddrFromSlice(b[size : 2*size])
	h.Source = netip.AddrPortFrom(source.Unmap(), binary.BigEndian.Uint16(b[2*size:]))
	h.Dest = netip.AddrPortFrom(dest.Unmap(), binary.BigEndian.Uint16(b[2*size+2:]))
	return b[2*size+4:], nil
}

// next takes the first TLV of b.
func next(b []byte) (kind byte, value, rest []byte, err error) {
	if len(b) < tlvHead {
		return 0, nil, nil, malformed("field ends early")
	}
	n := int(binary.BigEndian.Uint16(b[1:]))
	if len(b)-tlvHead < n {
		return 0, nil, nil, malformed("field of %d bytes where %d are left", n, len(b)-tlvHead)
	}
	return b[0], b[tlvHead : tlvHead+n], b[tlvHead+n:], nil
}

// fields reads the TLVs; header is all of it, for the checksum. Those that are
// used may come once: two could not both be true.
func (h *Header) fields(header, b []byte) error {
	var seen [256]bool
	for len(b) > 0 {
		kind, value, rest, err := next(b)
		if err != nil {
			return err
		}
		at := len(header) - len(rest) - len(value)
		b = rest
		if seen[kind] && (kind == tlvAuthority || kind == tlvCRC32C || kind == tlvSSL) {
			return malformed("field %#x twice", kind)
		}
		seen[kind] = true
		switch kind {
		case tlvAuthority:
			h.ServerName, err = text(value)
		case tlvCRC32C:
			err = checksum(header, at, value)
		case tlvSSL:
			err = h.ssl(value)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// checksum compares a CRC32c, which was taken with zeros in its own place.
func checksum(header []byte, at int, value []byte) error {
	if len(value) != 4 {
		return malformed("checksum of %d bytes", len(value))
	}
	table := crc32.MakeTable(crc32.Castagnoli)
	sum := crc32.Update(0, table, header[:at])
	sum = crc32.Update(sum, table, make([]byte, 4))
	sum = crc32.Update(sum, table, header[at+4:])
	if sum != binary.BigEndian.Uint32(value) {
		return malformed("wrong checksum")
	}
	return nil
}

// ssl reads the field about TLS: flags (8), the result of the verification (32,
// 0 is good), and TLVs of its own.
func (h *Header) ssl(b []byte) error {
	if len(b) < 5 {
		return malformed("TLS field ends early")
	}
	flags, verify := b[0], binary.BigEndian.Uint32(b[1:])
	h.TLS = flags&sslClient != 0
	h.Verified = h.TLS && verify == 0 && flags&(sslCertConn|sslCertSess) != 0
	cn, named := "", false
	for b = b[5:]; len(b) > 0; {
		kind, value, rest, err := next(b)
		if err != nil {
			return err
		}
		b = rest
		switch kind {
		case tlvSSLVersion:
			h.TLSVersion, err = text(value)
		case tlvSSLCN:
			if named {
				return malformed("two common names")
			}
			named = true
			cn, err = text(value)
		}
		if err != nil {
			return err
		}
	}
	if h.Verified {
		h.CommonName = cn
	}
	return nil
}

// text is a value that people read: UTF-8 without control characters.
func text(b []byte) (string, error) {
	if !utf8.Valid(b) {
		return "", malformed("text is not UTF-8")
	}
	for _, r := range string(b) {
		if unicode.IsControl(r) {
			return "", malformed("text with a control character")
		}
	}
	return string(b), nil
}
