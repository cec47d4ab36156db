// Package run starts and stops processes and what they are made of.
//
// It owns three things: the life of a process (signals, exit codes, the pid
// file), the order in which the services of a process start, and the reverse
// order in which they drain. It is the only package that calls os.Exit or
// listens to signals; everything else gets a context and returns an error.
//
// A program looks like this:
//
//	func main() {
//		run.Main(func(ctx context.Context) error {
//			g := run.NewGroup(run.Options{Logger: logger})
//			g.Add("ops", admin)
//			g.Add("router", router)
//			return g.Run(ctx)
//		})
//	}
//
// What it promises: a service is started only when all before it are ready;
// every service that started is stopped exactly once, in reverse order, on a
// signal, on the end of the context and on the failure of any one; a service
// that neither starts nor stops in its time is named and left behind, so that
// a drain always ends.
//
// What it never does: restart a service, or interpret configuration.
package run
