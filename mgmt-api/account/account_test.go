package account_test

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pando-mq/pando/mgmt-api/account"
)

func login(t *testing.T, b *account.Book, name, password string) account.Result {
	t.Helper()
	r, err := b.Login(t.Context(), name, password)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestConfiguredAdministrators(t *testing.T) {
	t.Parallel()
	b := account.New(map[string]string{"ann": "one", "bob": "two"})
	for _, c := range []struct {
		name, user, password string
		want                 account.Result
	}{
		{"right", "ann", "one", account.OK},
		{"right again, remembered", "ann", "one", account.OK},
		{"other's password", "ann", "two", account.WrongPassword},
		{"empty password", "ann", "", account.WrongPassword},
		{"unknown", "eve", "one", account.Unknown},
		{"unknown with the decoy's password", "eve", "", account.Unknown},
		{"name and password moved", "an", "none", account.Unknown},
		{"empty", "", "", account.Unknown},
	} {
		if got := login(t, b, c.user, c.password); got != c.want {
			t.Errorf("%s: got %d, want %d", c.name, got, c.want)
		}
	}
}

func TestWaitForASlotEndsWithTheContext(t *testing.T) {
	t.Parallel()
	b := account.New(map[string]string{"ann": "one"})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 50 { // a free slot may be taken before the context is seen
		if _, err := b.Login(ctx, "ann", "wrong"); err != nil {
			return
		}
	}
	t.Error("an ended context was never seen")
}

func TestFirstAdministratorIsRandomAndKeptAsHash(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b, made, err := account.Open(dir)
	if err != nil || made == nil {
		t.Fatal(made, err)
	}
	if made.Name != "admin" || len(made.Password) < 20 || login(t, b, "admin", made.Password) != account.OK {
		t.Errorf("%+v does not log in", made)
	}
	text, err := os.ReadFile(made.File)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), made.Password) || !strings.Contains(string(text), "$argon2id$") {
		t.Errorf("the file has %s", text)
	}
	private(t, made.File)
	again, second, err := account.Open(dir)
	if err != nil || second != nil {
		t.Fatalf("a second administrator: %v, %v", second, err)
	}
	if login(t, again, "admin", made.Password) != account.OK || login(t, again, "admin", "public") != account.WrongPassword {
		t.Error("the password is not the one that was shown")
	}
	_, other, err := account.Open(t.TempDir())
	if err != nil || other.Password == made.Password {
		t.Error("two first starts have the same password")
	}
}

func private(t *testing.T, path string) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%s: %v, %v", path, info.Mode(), err)
	}
}

func TestBrokenFileIsRefused(t *testing.T) {
	t.Parallel()
	_, made, err := account.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(made.File)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"empty": "", "no administrator": `{"format":1,"administrators":{}}`, "later format": strings.Replace(string(good), `"format": 1`, `"format": 2`, 1),
		"no hash": `{"format":1,"administrators":{"admin":"public"}}`, "memory bomb": strings.Replace(string(good), "m=19456", "m=4194304", 1),
		"passes bomb": strings.Replace(string(good), "t=2", "t=1000000", 1), "no lanes": strings.Replace(string(good), "p=1", "p=0", 1),
		"too large": strings.Repeat(" ", 70_000),
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, filepath.Base(made.File))
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, again, err := account.Open(dir); err == nil || again != nil || !strings.Contains(err.Error(), path) {
				t.Errorf("got %v, %v", again, err)
			}
		})
	}
}

func FuzzOpen(f *testing.F) {
	f.Add("$argon2id$v=19$m=8,t=1,p=1$AAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
	f.Add("$argon2id$v=19$m=,t=,p=$$")
	f.Add("$argon2i$v=19$m=8,t=1,p=1$AAAA$AAAA")
	f.Add("")
	f.Fuzz(func(t *testing.T, hash string) {
		account.CheckHash(hash) // must not panic, and must bound what a hash may cost
	})
}

func TestToken(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	token, err := account.OpenToken(dir)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, account.TokenFile)
	private(t, path)
	text, err := account.ReadToken(path)
	if err != nil || len(text) < 32 || !token.Is(text) {
		t.Errorf("token %q: %v", text, err)
	}
	for _, wrong := range []string{"", text[1:], text + "x", strings.ToUpper(text)} {
		if token.Is(wrong) {
			t.Errorf("%q is taken for %q", wrong, text)
		}
	}
	again, err := account.OpenToken(dir)
	if err != nil || !again.Is(text) {
		t.Errorf("the token changed at the second start: %v", err)
	}
	if err := os.WriteFile(path, []byte("short\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := account.OpenToken(dir); err == nil {
		t.Error("a short token is taken")
	}
	if _, err := account.ReadToken(filepath.Join(dir, "none")); !os.IsNotExist(err) && !strings.Contains(err.Error(), fs.ErrNotExist.Error()) {
		t.Errorf("no file: %v", err)
	}
}
