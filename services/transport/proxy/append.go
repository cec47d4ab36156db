package proxy

import (
	"encoding/binary"
	"net/netip"
)

// TLV is one field of a header of version 2.
type TLV struct {
	Type  byte
	Value []byte
}

// AppendV2 appends a header of version 2 for a TCP connection, as a proxy in
// front of another service sends it. Addresses of different families are
// written as IPv6.
func AppendV2(dst []byte, source, dest netip.AddrPort, fields ...TLV) []byte {
	dst = append(dst, prefix2...)
	at := len(dst) + 2
	if source.Addr().Is4() && dest.Addr().Is4() {
		dst = append(dst, version2<<4|cmdProxy, famTCP4, 0, 0)
		a, b := source.Addr().As4(), dest.Addr().As4()
		dst = append(append(dst, a[:]...), b[:]...)
	} else {
		dst = append(dst, version2<<4|cmdProxy, famTCP6, 0, 0)
		a, b := source.Addr().As16(), dest.Addr().As16()
		dst = append(append(dst, a[:]...), b[:]...)
	}
	dst = binary.BigEndian.AppendUint16(dst, source.Port())
	dst = binary.BigEndian.AppendUint16(dst, dest.Port())
	for _, f := range fields {
		dst = append(dst, f.Type)
		dst = binary.BigEndian.AppendUint16(dst, uint16(len(f.Value)))
		dst = append(dst, f.Value...)
	}
	binary.BigEndian.PutUint16(dst[at:], uint16(len(dst)-at-2))
	return dst
}
