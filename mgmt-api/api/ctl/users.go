package ctl

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	mgmtv1 "github.com/pando-mq/pando/proto/gen/pando/mgmt/v1"
)

// kindOfUser tells the two books of users apart.
type kindOfUser struct {
	use, noun, short string
	alias            string
	kind             mgmtv1.UserKind
}

var (
	userNames = kindOfUser{"users", "user", "Built-in users: list, add, del, passwd", "user", mgmtv1.UserKind_USER_KIND_USERNAME}
	clientIDs = kindOfUser{"clientids", "client id", "Built-in client ids with passwords: list, add, del, passwd", "clientid", mgmtv1.UserKind_USER_KIND_CLIENT_ID}
)

func (a *app) usersCommand(k kindOfUser) *cobra.Command {
	var limit int
	type row = *mgmtv1.User
	all := command("list", "List them by name, without passwords", cobra.NoArgs, func(c *cobra.Command, _ []string) error {
		return list(c.Context(), a, limit, func(ctx context.Context, size uint32, token string) (page[row], error) {
			r, err := call(ctx, a, client.ListUsers, &mgmtv1.ListUsersRequest{Kind: k.kind, Tenant: a.flags.tenant, PageSize: size, PageToken: token})
			return page[row]{rows: r.GetUsers(), next: r.GetNextPageToken()}, err
		}, column[row]{"NAME", row.GetName}, column[row]{"SUPERUSER", func(u row) string { return yes(u.GetSuperuser()) }},
			column[row]{"CREATED", func(u row) string { return moment(u.GetCreatedMs()) }})
	})
	limitFlag(all, &limit)
	del := command("del NAME", "Remove one", cobra.ExactArgs(1), func(c *cobra.Command, args []string) error {
		_, err := call(c.Context(), a, client.DeleteUser, &mgmtv1.DeleteUserRequest{Kind: k.kind, Tenant: a.flags.tenant, Name: args[0]})
		if err != nil {
			return naming(k.noun, args[0], err)
		}
		return a.done("removed the %s %s", k.noun, args[0])
	})
	return group(k.use, k.short, []string{k.alias}, all, a.addUser(k), del, a.passwd(k))
}

func (a *app) addUser(k kindOfUser) *cobra.Command {
	var fromInput, super bool
	var method, salt string
	c := command("add NAME", "Add one; asks for the password", cobra.ExactArgs(1), func(c *cobra.Command, args []string) error {
		if salt != "" && method == "" {
			return misused("--salt belongs to --hash METHOD")
		}
		return a.put(c.Context(), k, fromInput, &mgmtv1.PutUserRequest{
			Kind: k.kind, User: &mgmtv1.User{Tenant: a.flags.tenant, Name: args[0], Superuser: super}, Create: true, Method: method, Salt: salt,
		}, "added")
	})
	c.Long = "add adds one with a new password, which is stored as auth.password_hash says. With --hash METHOD what is read is not a password but the hash of\n" +
		"one, made elsewhere; it is kept as it is. METHOD is emq for a row of the user table of EMQ 2.x (the 40 hexadecimal digits of its 20 bytes), or\n" +
		"what auth.*.password_hash has there: plain, md5, sha, sha256, sha512, with salt, before or ,salt behind, bcrypt, or pbkdf2,MAC,ITERATIONS,LENGTH."
	c.Example = "  pandoctl " + k.use + " add alice\n  pandoctl " + k.use + " add bob --hash salt,sha256 --salt 7f3a --password-stdin <hash.txt"
	c.Flags().BoolVar(&super, "superuser", false, "skips the ACL")
	c.Flags().StringVar(&method, "hash", "", "the password is given as a hash of this METHOD")
	c.Flags().StringVar(&salt, "salt", "", "salt of that hash, as text")
	passwordFlag(c, &fromInput)
	return c
}

func (a *app) passwd(k kindOfUser) *cobra.Command {
	var fromInput bool
	c := command("passwd NAME", "Change a password; asks for it", cobra.ExactArgs(1), func(c *cobra.Command, args []string) error {
		return a.put(c.Context(), k, fromInput, &mgmtv1.PutUserRequest{
			Kind: k.kind, User: &mgmtv1.User{Tenant: a.flags.tenant, Name: args[0]}, OnlyPassword: true,
		}, "changed the password of")
	})
	passwordFlag(c, &fromInput)
	return c
}

func passwordFlag(c *cobra.Command, v *bool) {
	c.Flags().BoolVar(v, "password-stdin", false, "read the password from the first line of standard input")
}

// put connects first, so that nobody types a password in vain.
func (a *app) put(ctx context.Context, k kindOfUser, fromInput bool, r *mgmtv1.PutUserRequest, did string) error {
	if _, err := a.connect(ctx); err != nil {
		return err
	}
	password, err := a.password(fromInput)
	if err != nil {
		return err
	}
	if r.GetMethod() == "" {
		r.Password = []byte(password)
	} else {
		r.Hash = password
	}
	_, err = call(ctx, a, client.PutUser, r)
	name := r.GetUser().GetName()
	if status.Code(err) == codes.AlreadyExists {
		return fmt.Errorf("the %s %q exists already; `pandoctl %s passwd` changes its password", k.noun, name, k.use)
	}
	if err != nil {
		return naming(k.noun, name, err)
	}
	return a.done("%s the %s %s", did, k.noun, name)
}

// maxPassword bounds what is read, bytes.
const maxPassword = 1024

// password asks twice on a terminal, without echo, or reads a line.
func (a *app) password(fromInput bool) (string, error) {
	if fromInput {
		line, err := bufio.NewReader(io.LimitReader(a.In, maxPassword+2)).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return "", err
		}
		return checkPassword(strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r"))
	}
	f, ok := a.In.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return "", misused("standard input is not a terminal: pipe the password in with --password-stdin")
	}
	first, err := a.prompt(f, "Password: ")
	if err != nil {
		return "", err
	}
	if _, err := checkPassword(first); err != nil {
		return "", err
	}
	second, err := a.prompt(f, "Again: ")
	if err == nil && first != second {
		err = errors.New("the two differ: nothing was changed")
	}
	return first, err
}

func (a *app) prompt(f *os.File, text string) (string, error) {
	fmt.Fprint(a.Err, text)
	line, err := term.ReadPassword(int(f.Fd()))
	fmt.Fprintln(a.Err)
	return string(line), err
}

func checkPassword(p string) (string, error) {
	if p == "" {
		return "", errors.New("an empty password is not taken")
	}
	if len(p) > maxPassword {
		return "", fmt.Errorf("the password is longer than %d bytes", maxPassword)
	}
	return p, nil
}
