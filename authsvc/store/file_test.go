package store_test

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/pando-mq/pando/authsvc/store"
)

func TestFilesArePrivate(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "odd #name? 100%.db")
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	s := open(t, path)
	apply(t, s, userPut("", "a", argon))
	files, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != 3 {
		t.Errorf("files %v, want the database, its log and its index", files)
	}
	for _, f := range files {
		fi, err := f.Info()
		if err != nil {
			t.Fatal(err)
		}
		if fi.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, want 0600", f.Name(), fi.Mode())
		}
	}
}

// What is not ours stays as it is; what is ours and damaged is said to be.
func TestForeignAndDamagedFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, bytes.Repeat([]byte("root:x:0:0\n"), 100), 0o644); err != nil {
		t.Fatal(err)
	}
	short := filepath.Join(dir, "short")
	if err := os.WriteFile(short, []byte("SQLite format 3\x00"), 0o644); err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(dir, "other.db")
	db, err := sql.Open("sqlite", other)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("CREATE TABLE precious (x)"); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Close(), os.Chmod(other, 0o644)); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{text, short, other} {
		before, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := store.Open(t.Context(), path); !errors.Is(err, store.ErrForeign) {
			t.Errorf("%s: %v, want ErrForeign", path, err)
		}
		after, err := os.ReadFile(path)
		fi, statErr := os.Stat(path)
		if err := errors.Join(err, statErr); err != nil || !bytes.Equal(before, after) || fi.Mode().Perm() != 0o644 {
			t.Errorf("%s was changed (%v)", path, err)
		}
	}
	if _, err := store.Open(t.Context(), dir); !errors.Is(err, store.ErrForeign) {
		t.Errorf("a directory: %v", err)
	}
	if _, err := store.Open(t.Context(), filepath.Join(dir, "no", "dir")); err == nil {
		t.Error("opened in a directory that is not there")
	}

	path := filepath.Join(dir, "users.db")
	s := open(t, path)
	var events []store.Event
	for i := range 500 {
		events = append(events, userPut("", fmt.Sprint("user", i), argon))
	}
	apply(t, s, events...)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	for page := int64(1); page < 10; page++ { // all but the header's page
		if _, err := f.WriteAt(bytes.Repeat([]byte{0xaa}, 4096), page*4096); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Open(t.Context(), path); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("damaged: %v, want ErrCorrupt", err)
	}
	if err := store.Remove(path); err != nil {
		t.Fatal(err)
	}
	if s := open(t, path); s.Applied() != 0 {
		t.Error("the new database is not empty")
	}
}

// A file of another schema of ours is emptied, to be filled by replay.
func TestOtherSchemaIsEmptied(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "users.db")
	s := open(t, path)
	apply(t, s, userPut("", "a", argon))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.Exec("PRAGMA user_version = 99; CREATE TABLE later (x); ALTER TABLE users ADD COLUMN later TEXT")
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	s = open(t, path)
	if s.Applied() != 0 {
		t.Errorf("applied %d, want 0", s.Applied())
	}
	apply(t, s, userPut("", "b", argon))
	if _, err := s.User(t.Context(), "", "a"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a user of the other schema: %v", err)
	}
}
