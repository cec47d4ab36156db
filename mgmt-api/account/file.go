package account

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// TokenFile is the name of the file that holds the bearer token, below the data directory.
const TokenFile = "pandoctl.token"

// Token is the secret of the gRPC port.
type Token struct{ sum [sha256.Size]byte }

// OpenToken reads the token under dir, or makes a random one, readable by the owner alone.
func OpenToken(dir string) (Token, error) {
	path := filepath.Join(dir, TokenFile)
	text, err := ReadToken(path)
	if errors.Is(err, fs.ErrNotExist) {
		text = randomText(32)
		err = writeFile(path, []byte(text+"\n"))
	}
	if err != nil {
		return Token{}, fmt.Errorf("token of the gRPC port: %w", err)
	}
	return Token{sha256.Sum256([]byte(text))}, nil
}

// ReadToken reads a token from a file.
func ReadToken(path string) (string, error) {
	data, err := readFile(path)
	if err != nil {
		return "", err
	}
	text := strings.TrimSpace(string(data))
	if len(text) < 16 {
		return "", fmt.Errorf("%s holds no token", path)
	}
	return text, nil
}

// Is reports whether text is the token, in a time that does not depend on it.
func (t Token) Is(text string) bool {
	sum := sha256.Sum256([]byte(text))
	return subtle.ConstantTimeCompare(sum[:], t.sum[:]) == 1
}

// readFile reads a small file.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("%s is larger than %d bytes", path, maxFile)
	}
	return data, err
}

// writeFile writes a file that only its owner can read, all of it or nothing.
func writeFile(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
