// Package rpctest helps the tests of the adapters: it starts servers in a cluster in memory, makes arbitrary values of the vocabulary by reflection, so that a field which is added to
// services/broker and not to a conversion fails their tests, and it says what equality means on the wire.
package rpctest

import (
	"errors"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/pando-mq/pando/services/broker"
)

// Fill makes an arbitrary value that a correct sender could send: whole milliseconds, existing enumerators, numbers of partitions below 4096, messages
// where one must be.
func Fill[T any](t *rapid.T) T {
	var v T
	fill(t, reflect.ValueOf(&v).Elem(), "")
	return v
}

// enums are the values that small types may have.
var enums = map[reflect.Type][2]int{
	reflect.TypeFor[broker.QoS]():        {0, 2},
	reflect.TypeFor[broker.SourceKind](): {int(broker.FromGateway), int(broker.FromRetained)},
	reflect.TypeFor[broker.Action]():     {int(broker.ActionPublish), int(broker.ActionSubscribe)},
	reflect.TypeFor[broker.AckKind]():    {int(broker.AckPuback), int(broker.AckDropped)},
	reflect.TypeFor[broker.Result]():     {int(broker.OK), int(broker.NoReceiver)},
	reflect.TypeFor[broker.PushOp]():     {int(broker.PushPublish), int(broker.PushUnsubscribed)},
	reflect.TypeFor[broker.SessionOp]():  {int(broker.OpAttach), int(broker.OpSetExpiry)},
}

var errorType = reflect.TypeFor[error]()

func fill(t *rapid.T, v reflect.Value, field string) {
	if special(t, v) {
		return
	}
	if span, ok := enums[v.Type()]; ok {
		v.SetUint(uint64(rapid.IntRange(span[0], span[1]).Draw(t, field)))
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(rapid.Bool().Draw(t, field))
	case reflect.String:
		v.SetString(rapid.StringN(0, 12, -1).Draw(t, field))
	case reflect.Int:
		low := 0
		if field == "Session" || field == "Index" {
			low = -1
		}
		v.SetInt(int64(rapid.IntRange(low, 4095).Draw(t, field)))
	case reflect.Uint8:
		high := 255
		if field == "RetainHandling" {
			high = 2
		}
		v.SetUint(uint64(rapid.IntRange(0, high).Draw(t, field)))
	case reflect.Uint16:
		v.SetUint(uint64(rapid.Uint16().Draw(t, field)))
	case reflect.Uint32:
		v.SetUint(uint64(rapid.Uint32().Draw(t, field)))
	case reflect.Uint64:
		v.SetUint(rapid.Uint64().Draw(t, field))
	case reflect.Float64:
		v.SetFloat(rapid.Float64Range(-1e9, 1e9).Draw(t, field))
	case reflect.Int64:
		v.SetInt(rapid.Int64().Draw(t, field))
	default:
		composite(t, v, field)
	}
}

func composite(t *rapid.T, v reflect.Value, field string) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(t, v.Field(i), v.Type().Field(i).Name)
		}
		if m, ok := v.Addr().Interface().(*broker.Message); ok {
			m.Slab = false // where the memory of a message is, its receiver decides
			if m.Topic == "" {
				m.Topic = "t"
			}
		}
	case reflect.Array:
		for i := range v.Len() {
			fill(t, v.Index(i), field)
		}
	case reflect.Pointer:
		if v.Type() == reflect.TypeFor[*broker.Message]() || rapid.Bool().Draw(t, field) {
			v.Set(reflect.New(v.Type().Elem()))
			fill(t, v.Elem(), field)
		}
	case reflect.Slice:
		if n := rapid.IntRange(0, 3).Draw(t, field); n > 0 {
			v.Set(reflect.MakeSlice(v.Type(), n, n))
			for i := range n {
				fill(t, v.Index(i), field)
			}
		}
	case reflect.Map:
		if n := rapid.IntRange(0, 3).Draw(t, field); n > 0 {
			v.Set(reflect.MakeMap(v.Type()))
			for range n {
				key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
				fill(t, key, field)
				fill(t, value, field)
				v.SetMapIndex(key, value)
			}
		}
	default:
		t.Fatalf("rpctest: no rule for %v", v.Type())
	}
}

// special fills types with a meaning of their own.
func special(t *rapid.T, v reflect.Value) bool {
	switch p := v.Addr().Interface().(type) {
	case *time.Time:
		if rapid.Bool().Draw(t, "time") {
			*p = time.UnixMilli(rapid.Int64Range(1, 1<<42).Draw(t, "ms"))
		}
	case *time.Duration:
		*p = rapid.OneOf(
			rapid.Just(time.Duration(0)), rapid.Just(broker.Forever),
			rapid.Map(rapid.Int64Range(1, 1<<40), func(ms int64) time.Duration { return time.Duration(ms) * time.Millisecond }),
		).Draw(t, "duration")
	case *netip.AddrPort:
		if n := rapid.SampledFrom([]int{0, 4, 16}).Draw(t, "address"); n > 0 {
			a, _ := netip.AddrFromSlice(rapid.SliceOfN(rapid.Byte(), n, n).Draw(t, "ip"))
			*p = netip.AddrPortFrom(a, rapid.Uint16().Draw(t, "port"))
		}
	default:
		if v.Type() != errorType {
			return false
		}
		if rapid.Bool().Draw(t, "error") {
			kind := broker.Kind(rapid.IntRange(0, int(broker.KindCanceled)).Draw(t, "kind"))
			v.Set(reflect.ValueOf(broker.E(kind, "op", rapid.SampledFrom([]error{nil, errors.New("cause")}).Draw(t, "cause"))))
		}
	}
	return true
}

// Diff says how two values differ. Errors are equal when kind and text are.
func Diff(want, got any) string {
	return cmp.Diff(want, got,
		cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b }),
		cmp.FilterPath(func(p cmp.Path) bool { return p.Last().Type() == errorType }, cmp.Comparer(sameError)),
	)
}

func sameError(a, b error) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return broker.KindOf(a) == broker.KindOf(b) && a.Error() == b.Error()
}

// Identity checks that arbitrary values come back as they were: in Go, through encode, the wire and decode.
func Identity[T any, P any, M interface {
	*P
	proto.Message
}](t *testing.T, name string, make func(*rapid.T) T, encode func(*T) M, decode func(M) (T, error)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		t.Parallel()
		rapid.Check(t, func(t *rapid.T) {
			want := make(t)
			b, err := proto.Marshal(encode(&want))
			if err != nil {
				t.Fatal(err)
			}
			p := M(new(P))
			if err := proto.Unmarshal(b, p); err != nil {
				t.Fatal(err)
			}
			got, err := decode(p)
			if err != nil {
				t.Fatalf("decode %+v: %v", want, err)
			}
			if d := Diff(want, got); d != "" {
				t.Fatal(d)
			}
		})
	})
}

// Stable is the body of a fuzz target: it decodes hostile bytes, and what is accepted must come back the same from a second round.
func Stable[T any, P any, M interface {
	*P
	proto.Message
}](t *testing.T, data []byte, encode func(T) M, decode func(M) (T, error)) {
	t.Helper()
	p := M(new(P))
	if proto.Unmarshal(data, p) != nil {
		return
	}
	first, err := decode(p)
	if err != nil {
		return
	}
	b, err := proto.Marshal(encode(first))
	if err != nil {
		t.Fatalf("what was accepted cannot be encoded: %v", err)
	}
	p = M(new(P))
	if err := proto.Unmarshal(b, p); err != nil {
		t.Fatal(err)
	}
	second, err := decode(p)
	if err != nil {
		t.Fatalf("what was accepted is refused the second time: %v", err)
	}
	if d := Diff(first, second); d != "" {
		t.Fatal(d)
	}
}
