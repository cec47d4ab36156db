package store

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"

	_ "modernc.org/sqlite" // the driver, pure Go
)

// What marks a file as ours, in SQLite's own header.
const (
	applicationID = 0x50414e44 // "PAND"
	schemaVersion = 3
)

// readers is how many look-ups run at once.
const readers = 4

// schema creates the tables. Names compare byte by byte (SQLite's BINARY).
const schema = `
CREATE TABLE meta (id INTEGER PRIMARY KEY CHECK (id = 1), seq INTEGER NOT NULL, acl_seq INTEGER NOT NULL, file_seq INTEGER NOT NULL,
	acl_file TEXT NOT NULL, scram_seed TEXT NOT NULL, tip TEXT NOT NULL);
INSERT INTO meta VALUES (1, 0, 0, 0, '', '', '');
CREATE TABLE users (tenant TEXT NOT NULL, name TEXT NOT NULL, scheme TEXT NOT NULL, hash TEXT NOT NULL, salt BLOB NOT NULL,
	superuser INTEGER NOT NULL, created INTEGER NOT NULL, scram BLOB NOT NULL, PRIMARY KEY (tenant, name)) WITHOUT ROWID;
CREATE TABLE clients (tenant TEXT NOT NULL, name TEXT NOT NULL, scheme TEXT NOT NULL, hash TEXT NOT NULL, salt BLOB NOT NULL,
	created INTEGER NOT NULL, PRIMARY KEY (tenant, name)) WITHOUT ROWID;
CREATE TABLE acl (tenant TEXT NOT NULL, id TEXT NOT NULL, position INTEGER NOT NULL, allow INTEGER NOT NULL, ipaddr TEXT NOT NULL,
	username TEXT NOT NULL, clientid TEXT NOT NULL, access INTEGER NOT NULL, topic TEXT NOT NULL, PRIMARY KEY (tenant, id)) WITHOUT ROWID;
CREATE INDEX acl_position ON acl (tenant, position);
`

// Store is an open projection. All methods may be called concurrently.
type Store struct {
	write *sql.DB // one connection: changes wait for one another
	read  *sql.DB
	w     writes
	r     reads

	meta atomic.Pointer[meta] // as committed
}

// Open opens the projection at path, or makes an empty one. Its directory must
// exist. A file of an older or newer schema is emptied (Applied is 0: replay).
// Errors: ErrForeign, ErrCorrupt, or the file system's. ctx bounds Open only.
func Open(ctx context.Context, path string) (*Store, error) {
	s, err := open(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("open users database %s: %w", path, err)
	}
	return s, nil
}

func open(ctx context.Context, path string) (*Store, error) {
	if err := makePrivate(path); err != nil {
		return nil, err
	}
	s := &Store{}
	var err error
	if s.write, err = sql.Open("sqlite", dsn(path, "_txlock=immediate&_pragma=synchronous(NORMAL)")); err != nil {
		return nil, err
	}
	s.write.SetMaxOpenConns(1)
	if s.read, err = sql.Open("sqlite", dsn(path, "_pragma=query_only(1)")); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	s.read.SetMaxOpenConns(readers)
	s.read.SetMaxIdleConns(readers)
	for _, step := range []func(context.Context) error{s.check, s.prepare, s.load} {
		if err := step(ctx); err != nil {
			return nil, errors.Join(classify(err), s.Close())
		}
	}
	return s, nil
}

// makePrivate creates the file if needed, makes sure that it is ours and takes
// it from everybody else. SQLite gives its companions the mode of the file.
func makePrivate(path string) error {
	if fi, err := os.Stat(path); err == nil && !fi.Mode().IsRegular() {
		return fmt.Errorf("%w: not a regular file", ErrForeign)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	err = isOurs(f)
	if err == nil {
		err = f.Chmod(0o600)
	}
	return errors.Join(err, f.Close())
}

// isOurs returns ErrForeign unless the file is empty or has our mark in
// SQLite's header: "SQLite format 3\0" at byte 0, the application's number at
// byte 68, big-endian.
func isOurs(f *os.File) error {
	head := make([]byte, 100)
	n, err := f.ReadAt(head, 0)
	switch {
	case n == 0 && err == io.EOF:
		return nil
	case err != nil && err != io.EOF:
		return err
	case n < len(head) || !bytes.HasPrefix(head, []byte("SQLite format 3\x00")) ||
		binary.BigEndian.Uint32(head[68:]) != applicationID:
		return ErrForeign
	}
	return nil
}

// dsn returns SQLite's URI for path, whatever characters are in it.
func dsn(path, query string) string {
	p := filepath.ToSlash(path)
	if filepath.VolumeName(path) != "" {
		p = "/" + p
	}
	return "file:" + (&url.URL{Path: p}).EscapedPath() + "?_pragma=busy_timeout(5000)&" + query
}

// classify marks the errors with which SQLite reports a damaged file.
func classify(err error) error {
	var coded interface{ Code() int }
	if errors.As(err, &coded) {
		const corrupt, notADatabase = 11, 26 // SQLITE_CORRUPT, SQLITE_NOTADB
		if c := coded.Code() & 0xff; c == corrupt || c == notADatabase {
			return fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
	}
	return err
}

// check makes sure that the file is whole and of this schema. A new file gets
// our mark before it gets a write-ahead log, so that the mark is in the file
// itself whenever there is anything else.
func (s *Store) check(ctx context.Context) error {
	for _, pragma := range []string{fmt.Sprintf("PRAGMA application_id = %d", applicationID), "PRAGMA journal_mode = WAL"} {
		if _, err := s.write.ExecContext(ctx, pragma); err != nil {
			return err
		}
	}
	var verdict string
	if err := s.write.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&verdict); err != nil {
		return err
	}
	if verdict != "ok" {
		return fmt.Errorf("%w: %s", ErrCorrupt, verdict)
	}
	var version int
	if err := s.write.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return err
	}
	if version == schemaVersion {
		return nil
	}
	return s.create(ctx)
}

// create drops whatever tables are there and makes empty ones.
func (s *Store) create(ctx context.Context) error {
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after Commit it does nothing
	names, err := tableNames(ctx, tx)
	if err != nil {
		return err
	}
	var b strings.Builder
	for _, name := range names {
		fmt.Fprintf(&b, "DROP TABLE \"%s\";\n", strings.ReplaceAll(name, `"`, `""`))
	}
	b.WriteString(schema)
	fmt.Fprintf(&b, "PRAGMA user_version = %d;\n", schemaVersion)
	if _, err := tx.ExecContext(ctx, b.String()); err != nil {
		return err
	}
	return tx.Commit()
}

func tableNames(ctx context.Context, tx *sql.Tx) ([]string, error) {
	rows, err := tx.QueryContext(ctx, "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var names []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, rows.Err()
}

// load reads the counters after Open.
func (s *Store) load(ctx context.Context) error {
	var m meta
	if err := m.scan(s.write.QueryRowContext(ctx, "SELECT "+metaColumns+" FROM meta")); err != nil {
		return err
	}
	s.meta.Store(&m)
	return nil
}

// Applied returns the sequence number of the last event applied, 0 if none.
func (s *Store) Applied() uint64 { return s.meta.Load().seq }

// Tip returns Applied and the Digest of that event; "" if it is not known,
// because the event came with a snapshot.
func (s *Store) Tip() (sequence uint64, digest string) {
	m := s.meta.Load()
	return m.seq, m.tip
}

// RulesVersion returns the sequence number of the last event that changed an
// access rule or asked for a reload of rule files: when it changes, rules
// compiled from Rules are stale.
func (s *Store) RulesVersion() uint64 { return s.meta.Load().aclSeq }

// FileVersion returns the sequence number of the last acl_reload and its
// digest; 0 if there was none.
func (s *Store) FileVersion() (sequence uint64, digest string) {
	m := s.meta.Load()
	return m.fileSeq, m.file
}

// SCRAMSeed returns the key of the first scram_seed event, "" if there was none.
func (s *Store) SCRAMSeed() string { return s.meta.Load().seed }

// Close ends all look-ups and releases the file.
func (s *Store) Close() error {
	var errs []error
	for _, db := range []*sql.DB{s.read, s.write} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(errs...)
}

// Remove deletes the projection at path with its companions, so that the next
// Open starts an empty one. The store must be closed.
func Remove(path string) error {
	var errs []error
	for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
		if err := os.Remove(path + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
