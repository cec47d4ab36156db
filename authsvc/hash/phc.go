package hash

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
)

// phcPrefix opens an argon2id hash in the PHC string format:
//
//	$argon2id$v=19$m=<KiB>,t=<passes>,p=<lanes>$<salt>$<key>
//
// salt and key are base64 without padding (RFC 4648 §4).
const phcPrefix = "$argon2id$v=19$"

// encodePHC writes an argon2id hash.
func encodePHC(a Argon, salt, key []byte) string {
	b := base64.RawStdEncoding
	return fmt.Sprintf("%sm=%d,t=%d,p=%d$%s$%s", phcPrefix, a.Memory, a.Time, a.Threads, b.EncodeToString(salt), b.EncodeToString(key))
}

// decodePHC reads what encodePHC writes. Parameters within the format but
// beyond what may be computed give ErrLimits, all else ErrMalformed.
func decodePHC(s string) (a Argon, salt, key []byte, err error) {
	rest, ok := strings.CutPrefix(s, phcPrefix)
	fields := strings.Split(rest, "$")
	if !ok || len(s) > maxStored || len(fields) != 3 {
		return Argon{}, nil, nil, ErrMalformed
	}
	if a, err = decodeArgon(fields[0]); err != nil {
		return Argon{}, nil, nil, err
	}
	if salt, err = decodeBase64(fields[1], minArgonSalt, maxArgonSalt); err != nil {
		return Argon{}, nil, nil, err
	}
	if key, err = decodeBase64(fields[2], minArgonKey, maxArgonKey); err != nil {
		return Argon{}, nil, nil, err
	}
	return a, salt, key, nil
}

func decodeArgon(s string) (Argon, error) {
	parts := strings.Split(s, ",")
	if len(parts) != 3 {
		return Argon{}, ErrMalformed
	}
	var n [3]uint32
	for i, name := range []string{"m=", "t=", "p="} {
		digits, ok := strings.CutPrefix(parts[i], name)
		v, err := strconv.ParseUint(digits, 10, 32)
		if !ok || err != nil || strconv.FormatUint(v, 10) != digits {
			return Argon{}, ErrMalformed
		}
		n[i] = uint32(v)
	}
	if n[1] > maxArgonTime || n[2] > maxArgonLanes {
		return Argon{}, ErrLimits
	}
	a := Argon{Memory: n[0], Time: n[1], Threads: uint8(n[2])}
	return a, a.check()
}

func decodeBase64(s string, least, most int) ([]byte, error) {
	b, err := base64.RawStdEncoding.Strict().DecodeString(s)
	if err != nil || len(b) < least || len(b) > most || strings.ContainsAny(s, "\r\n") {
		return nil, ErrMalformed
	}
	return b, nil
}

// bcryptCost returns the cost of a bcrypt hash: $2a$, $2b$ or $2y$, two digits,
// 22 characters of salt and 31 of hash.
func bcryptCost(s string) (int, error) {
	if len(s) != 60 || s[:2] != "$2" || strings.IndexByte("aby", s[2]) < 0 || s[3] != '$' || s[6] != '$' {
		return 0, ErrMalformed
	}
	for i := 7; i < len(s); i++ {
		if c := s[i]; c != '.' && c != '/' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return 0, ErrMalformed
		}
	}
	if s[4] < '0' || s[4] > '9' || s[5] < '0' || s[5] > '9' {
		return 0, ErrMalformed
	}
	cost := int(s[4]-'0')*10 + int(s[5]-'0')
	return cost, checkCost(cost)
}
