package gatewaymqtt

import (
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
)

// accessRule admits or refuses the peers of one prefix.
type accessRule struct {
	allow bool
	all   bool
	peers netip.Prefix
}

// parseRules reads "allow all", "deny 10.0.0.0/8", "allow 192.0.2.7" and the like.
func parseRules(texts []string) ([]accessRule, error) {
	rules := make([]accessRule, 0, len(texts))
	for _, text := range texts {
		word, peers, _ := strings.Cut(strings.TrimSpace(text), " ")
		r := accessRule{allow: word == "allow"}
		peers = strings.TrimSpace(peers)
		r.all = peers == "all"
		var err error
		if !r.all {
			r.peers, err = parsePrefix(peers)
		}
		if word != "allow" && word != "deny" || err != nil {
			return nil, fmt.Errorf("%q is no rule such as \"allow all\" or \"deny 10.0.0.0/8\"", text)
		}
		rules = append(rules, r)
	}
	return rules, nil
}

// parsePrefix reads an address or a prefix; IPv4 is never IPv6-mapped.
func parsePrefix(text string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(text); err == nil {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	return p.Masked(), err
}

// parsePrefixes reads a list of them.
func parsePrefixes(texts []string) ([]netip.Prefix, error) {
	out := make([]netip.Prefix, 0, len(texts))
	for _, text := range texts {
		p, err := parsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("%q is no address or prefix such as 192.0.2.0/24", text)
		}
		out = append(out, p)
	}
	return out, nil
}

// admitted applies the first rule that matches; a peer that none matches is admitted.
func admitted(rules []accessRule, peer netip.Addr) bool {
	for _, r := range rules {
		if r.all || r.peers.Contains(peer) {
			return r.allow
		}
	}
	return true
}

// within reports whether one of the prefixes holds a.
func within(prefixes []netip.Prefix, a netip.Addr) bool {
	for _, p := range prefixes {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// forwards reports whether a peer is a proxy that is believed when it names its client in HTTP headers.
func (l *listener) forwards(peer netip.Addr) bool {
	return l.cfg.web() && l.cfg.ProxyAddressHeader != "" && within(l.trusted, peer)
}

// forwarded is the peer as a trusted proxy names it in the headers of the upgrade request. Proxies append to the address header, so the last address
// that is not itself trusted is the client's; what stands before it is the client's own claim.
func (l *listener) forwarded(remote netip.AddrPort, header http.Header) netip.AddrPort {
	if header == nil || !l.forwards(remote.Addr()) {
		return remote
	}
	hops := strings.Split(strings.Join(header.Values(l.cfg.ProxyAddressHeader), ","), ",")
	for i := len(hops) - 1; i >= 0; i-- {
		a, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			return remote
		}
		if a = a.Unmap(); !within(l.trusted, a) {
			return netip.AddrPortFrom(a, l.forwardedPort(header))
		}
	}
	return remote
}

// forwardedPort is the client's port as the proxy names it, 0 if it does not.
func (l *listener) forwardedPort(header http.Header) uint16 {
	if l.cfg.ProxyPortHeader == "" {
		return 0
	}
	text := header.Get(l.cfg.ProxyPortHeader)
	if i := strings.LastIndexByte(text, ','); i >= 0 {
		text = text[i+1:]
	}
	port, err := strconv.ParseUint(strings.TrimSpace(text), 10, 16)
	if err != nil {
		return 0
	}
	return uint16(port)
}
