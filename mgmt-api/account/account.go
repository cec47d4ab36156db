package account

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

const (
	fileName    = "mgmt-admin.json"
	maxFile     = 64 << 10
	atOnce      = 2 // hashes computed at the same time: each takes 19 MiB and some 30 ms
	remember    = 5 * time.Minute
	maxRemember = 256
)

// Result says what became of a login.
type Result uint8

// The results of a login.
const (
	OK Result = iota
	Unknown
	WrongPassword
)

// Book holds the administrators. Safe for use by many goroutines.
type Book struct {
	hashes map[string]phc // immutable
	decoy  phc            // takes the time of a hash for unknown names
	key    []byte         // of digests; lives as long as the process
	slots  chan struct{}
	now    func() time.Time

	mu   sync.Mutex
	good map[[sha256.Size]byte]time.Time // digest of (name, password) that was right -> when to ask again
}

// New makes a Book of administrators with their passwords in the clear, as a configuration has them.
func New(passwords map[string]string) *Book {
	b := newBook()
	for name, password := range passwords {
		b.hashes[name] = mustParse(hashPassword(password))
	}
	return b
}

func newBook() *Book {
	key := make([]byte, 32)
	rand.Read(key)
	return &Book{
		hashes: map[string]phc{}, decoy: mustParse(hashPassword("")), key: key, slots: make(chan struct{}, atOnce),
		now: time.Now, good: map[[sha256.Size]byte]time.Time{},
	}
}

// mustParse reads what hashPassword made.
func mustParse(text string) phc {
	h, err := parseHash(text)
	if err != nil {
		panic(err)
	}
	return h
}

// stored is the file.
type stored struct {
	Format         int               `json:"format"` // 1
	Administrators map[string]string `json:"administrators"`
}

// Generated is the administrator that Open made. File holds its hash.
type Generated struct{ Name, Password, File string }

// passwordFile holds a generated password until somebody has read it.
const passwordFile = "mgmt-admin.password"

// Keep writes the password into a file of its own that its owner alone may read, for a process that nobody watches, and returns the file's name.
func (g *Generated) Keep() (string, error) {
	path := filepath.Join(filepath.Dir(g.File), passwordFile)
	if err := writeFile(path, []byte(g.Password+"\n")); err != nil {
		return "", fmt.Errorf("keep the first password: %w", err)
	}
	return path, nil
}

// TakePassword returns the password that Keep wrote under dir and removes the file: whoever calls shows it, once. "" without an error: there is none.
func TakePassword(dir string) (string, error) {
	path := filepath.Join(dir, passwordFile)
	text, err := readFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read the first password: %w", err)
	}
	return strings.TrimSpace(string(text)), os.Remove(path)
}

// Open makes a Book of the file under dir. When there is none it writes one with an administrator "admin" and a random password, and returns that too.
func Open(dir string) (*Book, *Generated, error) {
	path := filepath.Join(dir, fileName)
	data, err := readFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		g := &Generated{Name: "admin", Password: randomText(15), File: path}
		text, err := json.MarshalIndent(stored{Format: 1, Administrators: map[string]string{g.Name: hashPassword(g.Password)}}, "", "  ")
		if err == nil {
			err = writeFile(path, append(text, '\n'))
		}
		if err != nil {
			return nil, nil, fmt.Errorf("write the first administrator: %w", err)
		}
		b, _, err := Open(dir)
		return b, g, err
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read administrators: %w", err)
	}
	var s stored
	if err := json.Unmarshal(data, &s); err != nil || s.Format != 1 || len(s.Administrators) == 0 {
		return nil, nil, fmt.Errorf("%s holds no administrators this version can read; remove it to get a new one with a new password", path)
	}
	b := newBook()
	for name, text := range s.Administrators {
		if b.hashes[name], err = parseHash(text); err != nil {
			return nil, nil, fmt.Errorf("%s: administrator %q: %w", path, name, err)
		}
	}
	return b, nil, nil
}

// Login checks a name and password. Its error is that of ctx, which bounds the wait for a free slot.
func (b *Book) Login(ctx context.Context, name, password string) (Result, error) {
	digest := b.digest(name, password)
	if b.remembered(digest) {
		return OK, nil
	}
	select {
	case b.slots <- struct{}{}:
	case <-ctx.Done():
		return Unknown, ctx.Err()
	}
	defer func() { <-b.slots }()
	h, known := b.hashes[name]
	if !known {
		b.decoy.matches(password)
		return Unknown, nil
	}
	if !h.matches(password) {
		return WrongPassword, nil
	}
	b.remember(digest)
	return OK, nil
}

// digest names a login without keeping its password.
func (b *Book) digest(name, password string) [sha256.Size]byte {
	m := hmac.New(sha256.New, b.key)
	fmt.Fprintf(m, "%d:%s%s", len(name), name, password)
	return [sha256.Size]byte(m.Sum(nil))
}

func (b *Book) remembered(digest [sha256.Size]byte) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	until, ok := b.good[digest]
	return ok && b.now().Before(until)
}

func (b *Book) remember(digest [sha256.Size]byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.good) >= maxRemember {
		clear(b.good)
	}
	b.good[digest] = b.now().Add(remember)
}
