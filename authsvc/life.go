package authsvc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/cluster"
	"github.com/pando-mq/pando/services/config"
)

// againMin and againMax bound the pauses between two tries of something that
// waits for others.
const againMin, againMax = 50 * time.Millisecond, 2 * time.Second

// Start reads the rule file and the journal, begins to contend for the journal,
// and returns when this replica has all users and rules, those of the
// configuration included. Errors: a broken rule file, a foreign projection
// file, ctx's.
func (s *Service) Start(ctx context.Context) error {
	if err := s.begin(ctx); err != nil {
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTime)
		defer cancel()
		return errors.Join(fmt.Errorf("start auth: %w", err), s.Stop(stop))
	}
	return nil
}

func (s *Service) begin(ctx context.Context) error {
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s.cancel = cancel
	if err := s.rules.open(); err != nil {
		return err
	}
	if err := s.projection.open(ctx); err != nil {
		return err
	}
	if err := s.metrics.register(s.deps.Registerer); err != nil {
		return err
	}
	s.wg.Go(func() { s.follow(life) })
	s.wg.Go(func() { s.rules.run(life) })
	if _, err := s.rules.wait(ctx, 0); err != nil {
		return fmt.Errorf("read the journal of users: %w", err)
	}
	s.wg.Go(func() { s.host(life) })
	if err := s.addStatic(ctx); err != nil {
		return err
	}
	s.wg.Go(func() { s.announce(life) })
	return nil
}

// Stop gives the journal away, ends everything and closes the projection.
func (s *Service) Stop(ctx context.Context) error {
	close(s.stopping)
	s.cancel()
	ended := make(chan struct{})
	go func() {
		s.wg.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-ctx.Done():
		return fmt.Errorf("stop auth: %w", context.Cause(ctx))
	}
	s.metrics.unregister(s.deps.Registerer)
	s.projection.ready.Store(false)
	if db := s.projection.db.Load(); db != nil {
		return db.Close()
	}
	return nil
}

// host contends for the journal until ctx ends or the membership is lost.
func (s *Service) host(ctx context.Context) {
	if err := s.deps.Member.Host(ctx, cluster.AuthSpace, s); err != nil && ctx.Err() == nil {
		s.deps.Log.Warn("this process cannot own the journal of users any more", slog.Any("error", err))
	}
}

// follow keeps the projection at the journal's end. It begins again when a
// change cannot be applied or the file is damaged, then with an empty one.
func (s *Service) follow(ctx context.Context) {
	for pause := againMin; ctx.Err() == nil; pause = min(2*pause, againMax) {
		err := s.followOnce(ctx, func() { pause = againMin })
		if ctx.Err() != nil {
			return
		}
		s.deps.Log.Error("the journal of users is read again", slog.Any("error", err))
		s.metrics.failures.WithLabelValues("follow").Inc()
		sleep(ctx, pause)
	}
}

func (s *Service) followOnce(ctx context.Context, progress func()) error {
	if s.projection.broken.Load() {
		if err := s.projection.recreate(ctx); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	var watching sync.WaitGroup
	defer watching.Wait()
	defer cancel(nil)
	watching.Go(func() {
		select {
		case err := <-s.projection.damaged:
			s.projection.broken.Store(true)
			cancel(err)
		case <-ctx.Done():
		}
	})
	f := newFeed(s.projection)
	return s.deps.Journal.Follow(ctx, journalName, f, func() {
		if err := f.finish(); err != nil {
			cancel(err)
			return
		}
		progress()
		s.metrics.applied.Set(float64(s.projection.applied()))
		if !s.projection.ready.Swap(true) {
			s.projection.changed.raise()
		}
	})
}

// addStatic adds the users and client ids of the configuration that do not
// exist, through whoever owns the journal.
func (s *Service) addStatic(ctx context.Context) error {
	for _, u := range s.cfg.Users {
		missing := func(ctx context.Context) error {
			_, err := s.projection.db.Load().User(ctx, "", u.Username)
			return err
		}
		put := func(ctx context.Context) error {
			return s.PutUser(ctx, broker.User{Name: u.Username, Password: secret(u.Password), Superuser: u.Superuser, Create: true})
		}
		if err := s.addMissing(ctx, missing, put); err != nil {
			return fmt.Errorf("add user %q of auth.users: %w", u.Username, err)
		}
	}
	for _, c := range s.cfg.Clients {
		missing := func(ctx context.Context) error {
			_, err := s.projection.db.Load().Client(ctx, "", c.ClientID)
			return err
		}
		put := func(ctx context.Context) error {
			return s.PutClientID(ctx, broker.User{Name: c.ClientID, Password: secret(c.Password), Create: true})
		}
		if err := s.addMissing(ctx, missing, put); err != nil {
			return fmt.Errorf("add client id %q of auth.clients: %w", c.ClientID, err)
		}
	}
	return nil
}

func secret(s config.Secret) broker.Secret { return broker.Secret(s.Value()) }

// addMissing calls put until the record is there, here too.
func (s *Service) addMissing(ctx context.Context, missing, put func(context.Context) error) error {
	if missing(ctx) == nil {
		return nil
	}
	err := s.persist(ctx, put)
	if err != nil && broker.KindOf(err) != broker.KindConflict {
		return err
	}
	return s.projection.changed.until(ctx, func() bool { return missing(ctx) == nil })
}

// announce makes the generation of the rules rise if what this process reads
// outside the journal is not what the last acl_reload stands for: its rule file
// was changed while it was down.
func (s *Service) announce(ctx context.Context) {
	_, known := s.projection.db.Load().FileVersion()
	if known == "" {
		known = digestOf(Default().ACLNoMatch, s.rules.defaults)
	}
	if s.rules.digest() == known {
		return
	}
	if err := s.persist(ctx, s.ReloadACL); err != nil && ctx.Err() == nil {
		s.deps.Log.Warn("other processes do not know that the access rule file is a new one", slog.Any("error", err))
	}
}

// persist repeats fn while its error says that this may help.
func (s *Service) persist(ctx context.Context, fn func(context.Context) error) error {
	for pause := againMin; ; pause = min(2*pause, againMax) {
		err := fn(ctx)
		if err == nil || ctx.Err() != nil || !broker.KindOf(err).Retryable() {
			return err
		}
		sleep(ctx, pause)
	}
}

// sleep waits for a time or the end of ctx.
func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
