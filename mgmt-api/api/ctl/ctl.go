package ctl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/pando-mq/pando/services/run"
)

// Exit codes beside those of services/run (0 done, 1 refused or failed, 2 wrong usage, 3 pando cannot be reached).
const codeNotFound = 5 // the named thing does not exist

const rootHelp = `pandoctl looks into a running pando and changes what can be changed while it runs.

It talks to the process whose data directory it is given (--data-dir, default ./data), through the
socket pandoctl.sock there; whoever may open that file may use it. For a suite on another machine give
the address of its mgmt-api (--server HOST:9700) and the token of the file pandoctl.token there.

Lists take filters and come as a table, or with -o json as one JSON array; times are Unix milliseconds.
A list may lack the rows of a service that does not answer: a line on standard error then says so.`

const rootExample = `  pandoctl status
  pandoctl clients list --contains porch
  pandoctl clients kick porch-7
  pandoctl users add alice                     # asks for a password
  pandoctl acl add allow --user alice --publish 'home/#'
  pandoctl publish home/door open --qos 1
  pandoctl sessions list -o json | jq '.[].client_id'`

const rootEnd = `
Exit codes:
  0  done
  1  refused, failed, or (status) listeners do not serve
  2  wrong arguments
  3  pando cannot be reached
  5  the named client, session, subscription, user or rule does not exist

Environment, below the flags: PANDO_DATA_DIR, PANDOCTL_SOCKET, PANDOCTL_SERVER, PANDOCTL_TOKEN.
`

// Streams is the world of one run.
type Streams struct {
	In     io.Reader
	Out    io.Writer
	Err    io.Writer
	Getenv func(string) string
}

// app is one run.
type app struct {
	Streams
	flags struct {
		dataDir, socket, server, token string
		ca, cert, key                  string
		output, tenant                 string
		timeout                        time.Duration
	}
	conn *conn
}

// Run runs pandoctl with its arguments, without the program's name. The error has been explained to the user in its text and carries its exit code.
func Run(ctx context.Context, s Streams, args []string) error {
	a := &app{Streams: s}
	root := a.root()
	root.SetArgs(args)
	root.SetIn(s.In)
	root.SetOut(s.Out)
	root.SetErr(s.Err)
	err := root.ExecuteContext(ctx)
	if a.conn != nil {
		if closed := a.conn.Close(); err == nil {
			err = closed
		}
	}
	return a.explain(err)
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use: "pandoctl", Short: "Look into a running pando, and change it", Long: rootHelp, Example: rootExample,
		SilenceErrors: true, SilenceUsage: true, Args: usage(cobra.NoArgs), Version: run.Version(),
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	f := root.PersistentFlags()
	f.StringVar(&a.flags.dataDir, "data-dir", "", "data directory of the running process (default ./data)")
	f.StringVar(&a.flags.socket, "socket", "", "socket of the running process (default pandoctl.sock in the data directory)")
	f.StringVar(&a.flags.server, "server", "", "address of a mgmt-api, host:port, instead of a socket")
	f.StringVar(&a.flags.token, "token", "", "token for --server (default: the file pandoctl.token in the data directory)")
	f.StringVar(&a.flags.ca, "tls-ca", "", "CA file: speak TLS with --server")
	f.StringVar(&a.flags.cert, "tls-cert", "", "certificate file for mutual TLS")
	f.StringVar(&a.flags.key, "tls-key", "", "key file for mutual TLS")
	f.StringVarP(&a.flags.output, "output", "o", "table", "table or json")
	f.StringVar(&a.flags.tenant, "tenant", "", "tenant, where there are several")
	f.DurationVar(&a.flags.timeout, "timeout", 30*time.Second, "time for each request")
	root.SetHelpTemplate(root.HelpTemplate() + "{{if not .HasParent}}" + rootEnd + "{{end}}")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return run.WithCode(run.CodeUsage, err) })
	root.PersistentPreRunE = func(*cobra.Command, []string) error {
		if o := a.flags.output; o != "table" && o != "json" {
			return misused("--output is table or json, not %q", o)
		}
		return nil
	}
	_ = root.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"table", "json"}, cobra.ShellCompDirectiveNoFileComp))
	root.AddCommand(a.statusCommand(), a.nodesCommand(), a.listenersCommand(), a.clientsCommand(), a.sessionsCommand(), a.subscriptionsCommand(), a.routesCommand(),
		a.publishCommand(), a.usersCommand(userNames), a.usersCommand(clientIDs), a.aclCommand(), a.configCommand(), a.versionCommand())
	return root
}

// versionCommand prints what --version prints, as `pando version` does.
func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "The version of pandoctl", Args: usage(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(c.OutOrStdout(), "pandoctl %s\n", run.Version())
			return err
		},
	}
}

// group is a command that only holds others; a wrong one is named with what there is.
func group(use, short string, aliases []string, subs ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, Aliases: aliases}
	c.AddCommand(subs...)
	c.Args = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		return misused("there is no command %q in %s; there is: %s", args[0], c.CommandPath(), strings.Join(names(subs), ", "))
	}
	c.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
	return c
}

func names(cs []*cobra.Command) []string {
	var list []string
	for _, c := range cs {
		list = append(list, c.Name())
	}
	return list
}

// usage makes a failed check of arguments an error with the form of the command.
func usage(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if err := check(c, args); err != nil {
			return misused("%v\nusage: %s", err, c.UseLine())
		}
		return nil
	}
}

func misused(format string, args ...any) error {
	return run.WithCode(run.CodeUsage, fmt.Errorf(format, args...))
}

// explain turns what a request came back with into words and an exit code.
func (a *app) explain(err error) error {
	if err == nil || run.Code(err) != run.CodeFailure || errors.Is(err, run.ErrSilent) {
		return err
	}
	st, ok := status.FromError(err)
	if !ok {
		if strings.HasPrefix(err.Error(), "unknown command") {
			return run.WithCode(run.CodeUsage, fmt.Errorf("%w; `pandoctl --help` lists the commands", err))
		}
		return err
	}
	text := errors.New(st.Message())
	switch st.Code() {
	case codes.NotFound:
		return run.WithCode(codeNotFound, text)
	case codes.PermissionDenied:
		return fmt.Errorf("not allowed: %w", text)
	case codes.ResourceExhausted, codes.OutOfRange:
		return fmt.Errorf("a limit is reached: %w", text)
	case codes.Internal, codes.Unknown:
		return fmt.Errorf("mgmt-api could not do it, its log may say why: %w", text)
	case codes.Unauthenticated:
		return fmt.Errorf("%w\ngive it with --token, PANDOCTL_TOKEN, or --data-dir of a copy of that directory", text)
	case codes.Unavailable, codes.Aborted, codes.FailedPrecondition:
		return fmt.Errorf("%w\nsomething of the suite does not answer at present: `pandoctl status` shows what; try again", text)
	case codes.DeadlineExceeded, codes.Canceled:
		return fmt.Errorf("no answer within %v (--timeout): it may have been done or not", a.flags.timeout)
	}
	return text
}
