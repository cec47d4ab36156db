package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/test/bufconn"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/cluster"
	"github.com/pando-mq/pando/services/rpc"
)

// both runs a test over TCP on loopback and over a pipe in memory.
func both(t *testing.T, test func(t *testing.T, make func(change func(*rigT)) *rigT)) {
	t.Run("tcp", func(t *testing.T) {
		t.Parallel()
		test(t, func(change func(*rigT)) *rigT { return newRig(t, change) })
	})
	t.Run("bufconn", func(t *testing.T) {
		t.Parallel()
		test(t, func(change func(*rigT)) *rigT {
			return newRig(t, func(r *rigT) {
				r.net.pipe = map[string]*bufconn.Listener{}
				if change != nil {
					change(r)
				}
			})
		})
	})
}

func TestStreamKeepsOrderBothWays(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, rig func(func(*rigT)) *rigT) {
		r := rig(nil)
		var server *fakeStream
		r.startRouter("r1", &fakeRouter{open: func(_ context.Context, o broker.PublishOpen, acks func([]broker.PublishAck)) (broker.PublishStream, error) {
			if o.Source.Topic != 2 || o.Stream != 1 || o.First != 1 {
				t.Errorf("opened with %+v", o)
			}
			server = newFakeStream(acks)
			server.send = func(batch []broker.Publish) error {
				for _, p := range batch {
					acks([]broker.PublishAck{{Seq: p.Seq}})
				}
				return nil
			}
			return server, nil
		}})
		const n = 5000
		var next uint64 = 1
		all := make(chan struct{})
		s := r.open(2, func(acks []broker.PublishAck) {
			for _, a := range acks {
				if a.Seq != next {
					t.Errorf("ack %d, want %d", a.Seq, next)
				}
				next++
			}
			if next == n+1 {
				close(all)
			}
		})
		if s.Epoch() != 7 {
			t.Errorf("epoch %d, want 7", s.Epoch())
		}
		for i := 0; i < n; i += 10 {
			if err := s.Send(publishes(uint64(i+1), 10, 100)); err != nil {
				t.Fatal(err)
			}
		}
		await(t, all)
		for i, seq := range server.got {
			if seq != uint64(i+1) {
				t.Fatalf("publish %d came at place %d", seq, i)
			}
		}
	})
}

func TestStreamOpenCarriesEveryKind(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	var kind atomic.Uint32
	r.startRouter("r1", &fakeRouter{open: func(context.Context, broker.PublishOpen, func([]broker.PublishAck)) (broker.PublishStream, error) {
		return nil, broker.E(broker.Kind(kind.Load()), "refused", errors.New("because"))
	}})
	r.owned()
	for k := broker.KindInternal; k <= broker.KindCanceled; k++ {
		if k == broker.KindNotOwner { // followed, see TestOwnerRedirect
			continue
		}
		kind.Store(uint32(k))
		_, err := r.tryOpen(0, nil)
		wantKind(t, err, k)
		if want := fmt.Sprintf("refused: %v: because", k); err.Error() != want {
			t.Errorf("error %q, want %q", err, want)
		}
	}
}

func TestStreamEndsAsAWhole(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, rig func(func(*rigT)) *rigT) {
		r := rig(nil)
		server := make(chan *fakeStream, 1)
		r.startRouter("r1", &fakeRouter{open: func(_ context.Context, _ broker.PublishOpen, acks func([]broker.PublishAck)) (broker.PublishStream, error) {
			s := newFakeStream(acks)
			s.send = func(batch []broker.Publish) error { // two answers, then the end; what comes later changes nothing
				if batch[0].Seq == 1 {
					acks([]broker.PublishAck{{Seq: 1}})
					acks([]broker.PublishAck{{Seq: 2}})
					s.end(broker.E(broker.KindStale, "replaced by a newer stream", nil))
					acks([]broker.PublishAck{{Seq: 3}})
				}
				return nil
			}
			server <- s
			return s, nil
		}})
		var ended atomic.Bool
		var acked atomic.Uint64
		s := r.open(0, func(acks []broker.PublishAck) {
			if ended.Load() {
				t.Error("an ack after Done")
			}
			acked.Store(acks[len(acks)-1].Seq)
		})
		if err := s.Send(publishes(1, 3, 10)); err != nil {
			t.Fatal(err)
		}
		await(t, s.Done())
		ended.Store(true)
		wantKind(t, s.Err(), broker.KindStale)
		wantKind(t, s.Send(publishes(4, 1, 10)), broker.KindStale)
		if acked.Load() < 2 {
			t.Errorf("acked up to %d before the end, want 2", acked.Load())
		}
		srv := await(t, server)
		eventually(t, srv.isClosed)
		s.Close() // changes nothing
		wantKind(t, s.Err(), broker.KindStale)
	})
}

func TestStreamSendRefusedByServerEndsIt(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.startRouter("r1", &fakeRouter{open: func(_ context.Context, _ broker.PublishOpen, acks func([]broker.PublishAck)) (broker.PublishStream, error) {
		s := newFakeStream(acks)
		s.send = func([]broker.Publish) error { return broker.E(broker.KindBusy, "publish", nil) }
		return s, nil
	}})
	s := r.open(0, nil)
	_ = s.Send(publishes(1, 1, 10))
	await(t, s.Done())
	wantKind(t, s.Err(), broker.KindBusy)
}

func TestStreamCloseReachesServerBehindWhatWasSent(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	server := make(chan *fakeStream, 1)
	r.startRouter("r1", &fakeRouter{open: func(_ context.Context, _ broker.PublishOpen, acks func([]broker.PublishAck)) (broker.PublishStream, error) {
		s := newFakeStream(acks)
		server <- s
		return s, nil
	}})
	s := r.open(0, nil)
	if err := s.Send(publishes(1, 300, 100)); err != nil {
		t.Fatal(err)
	}
	s.Close()
	await(t, s.Done())
	wantKind(t, s.Err(), broker.KindCanceled)
	wantKind(t, s.Send(publishes(301, 1, 1)), broker.KindCanceled)
	srv := await(t, server)
	eventually(t, srv.isClosed)
	if n := srv.received(); n != 300 {
		t.Errorf("%d of 300 publishes came before the close", n)
	}
}

func TestStreamCallbackMayClose(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.startRouter("r1", &fakeRouter{})
	ready := make(chan broker.PublishStream, 1)
	called := make(chan struct{})
	s := r.open(0, func([]broker.PublishAck) {
		s := <-ready
		s.Close()
		select {
		case <-s.Done():
			t.Error("Done is closed while a callback runs")
		default:
		}
		close(called)
	})
	ready <- s
	if err := s.Send(publishes(1, 1, 1)); err != nil {
		t.Fatal(err)
	}
	await(t, called)
	await(t, s.Done())
}

func TestStreamOpenEndsWithItsContext(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	canceled := make(chan struct{})
	r.startRouter("r1", &fakeRouter{open: func(ctx context.Context, _ broker.PublishOpen, _ func([]broker.PublishAck)) (broker.PublishStream, error) {
		<-ctx.Done()
		close(canceled)
		return nil, ctx.Err()
	}})
	r.owned()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := r.router.OpenPublish(ctx, broker.PublishOpen{}, func([]broker.PublishAck) {})
	wantKind(t, err, broker.KindCanceled)
	await(t, canceled)
}

// A receiver that does not take anything costs its opener the bound, and no other channel anything.
func TestStreamSlowReceiverIsBounded(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, rig func(func(*rigT)) *rigT) {
		const credit, queue = 128 << 10, 256 << 10
		told := make(chan string, 10)
		r := rig(func(r *rigT) {
			r.server.Credit = credit
			r.client.QueueBytes = queue
			r.busy = func(n cluster.Node, queued int) { told <- fmt.Sprint(n.Role, " ", n.ID, " ", queued > queue/2) }
		})
		blocked := make(chan struct{})
		var slow *fakeStream
		r.startRouter("r1", &fakeRouter{open: func(_ context.Context, o broker.PublishOpen, acks func([]broker.PublishAck)) (broker.PublishStream, error) {
			s := newFakeStream(acks)
			if o.Source.Topic == 0 {
				slow = s
				s.send = func([]broker.Publish) error { <-blocked; return nil }
			}
			return s, nil
		}})
		defer close(blocked)
		s := r.open(0, nil)
		sent := 0
		var err error
		for seq := uint64(1); err == nil; seq++ {
			if err = s.Send(publishes(seq, 1, 1000)); err == nil {
				sent++
			}
			if sent > 10*(credit+queue)/1000 {
				t.Fatal("nothing bounds the sender")
			}
		}
		wantKind(t, err, broker.KindBusy)
		await(t, s.Done())
		wantKind(t, s.Err(), broker.KindBusy)
		if slow.received()*1000 > credit+1000 {
			t.Errorf("%d publishes reached a receiver that took none", slow.received())
		}
		if len(told) != 1 || <-told != "router r1 true" {
			t.Errorf("told %d times that it is slow", len(told))
		}
		acked := make(chan struct{})
		other := r.open(1, func([]broker.PublishAck) { close(acked) })
		if err := other.Send(publishes(1, 1, 1000)); err != nil {
			t.Fatal(err)
		}
		await(t, acked)
	})
}

// Credit is given back: much more than the credit passes.
func TestStreamCreditIsGivenBack(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(r *rigT) { r.server.Credit = 64 << 10 })
	r.startRouter("r1", &fakeRouter{})
	const n = 2000
	all := make(chan struct{})
	s := r.open(0, func(acks []broker.PublishAck) {
		if acks[len(acks)-1].Seq == n {
			close(all)
		}
	})
	for seq := uint64(1); seq <= n; seq++ {
		if err := s.Send(publishes(seq, 1, 1000)); err != nil {
			t.Fatal(err)
		}
	}
	await(t, all)
}

// An opener that reads nothing costs the server the bound.
func TestStreamAnswersAreBounded(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(r *rigT) { r.server.QueueBytes = 64 << 10 })
	server := make(chan *fakeStream, 1)
	r.startRouter("r1", &fakeRouter{open: func(_ context.Context, _ broker.PublishOpen, acks func([]broker.PublishAck)) (broker.PublishStream, error) {
		s := newFakeStream(acks)
		server <- s
		return s, nil
	}})
	blocked := make(chan struct{})
	s := r.open(0, func([]broker.PublishAck) { <-blocked })
	srv := await(t, server)
	for seq := uint64(1); !srv.isClosed(); seq++ {
		srv.acks([]broker.PublishAck{{Seq: seq}, {Seq: seq}, {Seq: seq}, {Seq: seq}, {Seq: seq}, {Seq: seq}, {Seq: seq}, {Seq: seq}})
		if seq > 10_000_000 {
			t.Fatal("nothing bounds the answers")
		}
	}
	close(blocked)
	await(t, s.Done())
	wantKind(t, s.Err(), broker.KindBusy)
}

func TestStreamItemAboveMessageLimit(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(r *rigT) { r.client.MaxMessage = 1 << 20 })
	r.startRouter("r1", &fakeRouter{})
	s, other := r.open(0, nil), r.open(1, nil)
	wantKind(t, s.Send(publishes(1, 1, 1<<20)), broker.KindTooLarge)
	await(t, s.Done())
	if err := other.Send(publishes(1, 1, 1)); err != nil {
		t.Fatalf("another channel ended too: %v", err)
	}
}

func TestStreamServerKilled(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(r *rigT) { r.client.Backoff = 50 * time.Millisecond })
	l, addr := r.net.listen(t, "")
	first := r.serve(l, &fakeRouter{})
	p := r.registerAt("r1", addr)
	defer p.leave(t)
	var streams []broker.PublishStream
	for i := range 100 {
		streams = append(streams, r.open(i%4, nil))
	}
	for _, s := range streams {
		_ = s.Send(publishes(1, 10, 100))
	}
	stop(t, first.Stop)
	for _, s := range streams {
		await(t, s.Done())
		wantKind(t, s.Err(), broker.KindUnavailable)
	}
	_, err := r.tryOpen(0, nil)
	wantKind(t, err, broker.KindUnavailable)
	r.serve(listenAt(t, addr), &fakeRouter{})
	eventually(t, func() bool {
		s, err := r.tryOpen(0, nil)
		return err == nil && s.Send(publishes(1, 1, 1)) == nil
	})
}

func TestStreamManyChannels(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.startRouter("r1", &fakeRouter{})
	r.owned()
	const n = 10_000
	var acked, failed atomic.Int64
	streams := make([]broker.PublishStream, n)
	var opening sync.WaitGroup
	for w := range 100 {
		opening.Go(func() {
			for i := w; i < n; i += 100 {
				s, err := r.tryOpen(i%4, func(acks []broker.PublishAck) { acked.Add(int64(len(acks))) })
				if err != nil {
					failed.Add(1)
					return
				}
				streams[i] = s
			}
		})
	}
	opening.Wait()
	if failed.Load() > 0 {
		t.Fatalf("%d channels failed", failed.Load())
	}
	for _, s := range streams {
		if err := s.Send(publishes(1, 1, 10)); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, func() bool { return acked.Load() == n })
	if got := r.count("pando_rpc_connections"); got != 1 {
		t.Errorf("%v connections, want 1", got)
	}
	if got := r.count("pando_rpc_stream_channels"); got != n {
		t.Errorf("%v channels counted, want %d", got, n)
	}
	for _, s := range streams {
		s.Close()
	}
	if got := r.count("pando_rpc_stream_channels"); got != 0 {
		t.Errorf("%v channels counted after all were closed", got)
	}
}

func TestStreamBatchesUnderLoad(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.startRouter("r1", &fakeRouter{})
	const channels, each = 64, 500
	var acked atomic.Int64
	var sending sync.WaitGroup
	for i := range channels {
		s := r.open(i%4, func(acks []broker.PublishAck) { acked.Add(int64(len(acks))) })
		sending.Go(func() {
			for seq := range uint64(each) {
				if err := s.Send(publishes(seq+1, 1, 256)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	sending.Wait()
	eventually(t, func() bool { return r.count("pando_rpc_stream_items_total") >= channels*each })
	frames, items := r.count("pando_rpc_stream_frames_total"), r.count("pando_rpc_stream_items_total")
	t.Logf("%v items in %v messages", items, frames)
	if frames > items/4 {
		t.Errorf("%v items needed %v messages", items, frames)
	}
}

func TestStreamPanicEndsItsChannelOnly(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.startRouter("r1", &fakeRouter{open: func(_ context.Context, o broker.PublishOpen, acks func([]broker.PublishAck)) (broker.PublishStream, error) {
		switch s := newFakeStream(acks); o.Source.Topic {
		case 0:
			panic("at opening")
		case 1:
			s.send = func([]broker.Publish) error { panic("at a publish") }
			return s, nil
		default:
			return s, nil
		}
	}})
	acked := make(chan struct{}, 1)
	healthy := r.open(2, func([]broker.PublishAck) { acked <- struct{}{} })
	_, err := r.tryOpen(0, nil)
	wantKind(t, err, broker.KindInternal)
	s := r.open(1, nil)
	_ = s.Send(publishes(1, 1, 1))
	await(t, s.Done())
	wantKind(t, s.Err(), broker.KindInternal)
	if err := healthy.Send(publishes(1, 1, 1)); err != nil {
		t.Fatal(err)
	}
	await(t, acked)
}

func TestStreamChannelsOfAServerAreBounded(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(r *rigT) { r.server.MaxChannels = 2 })
	r.startRouter("r1", &fakeRouter{})
	first := r.open(0, nil)
	r.open(0, nil)
	_, err := r.tryOpen(0, nil)
	wantKind(t, err, broker.KindBusy)
	first.Close()
	eventually(t, func() bool { _, err := r.tryOpen(0, nil); return err == nil })
}

func TestStreamDialerStopEndsChannels(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.startRouter("r1", &fakeRouter{})
	s := r.open(0, nil)
	d, err := rpc.NewDialer(r.client, r.cluster, rpc.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	stop(t, d.Stop) // one that never started
	stop(t, r.dialer.Stop)
	await(t, s.Done())
	wantKind(t, s.Err(), broker.KindUnavailable)
	_, err = r.tryOpen(0, nil)
	wantKind(t, err, broker.KindUnavailable)
}
