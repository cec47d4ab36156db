package boot

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// forgetful speaks as much of the NATS protocol as one question to JetStream needs, and loses the first answer, as a cluster may whose servers have just met.
// It ends with the connection; asked counts the questions.
func forgetful(c net.Conn, asked chan<- struct{}) {
	defer c.Close()
	fmt.Fprintf(c, "INFO {\"server_id\":\"A\",\"cluster\":\"pando\",\"max_payload\":1048576,\"headers\":true,\"connect_urls\":[\"127.0.0.1:1\",\"127.0.0.1:2\"]}\r\n")
	const reply = `{"type":"io.nats.jetstream.api.v1.account_info_response"}`
	sid, questions := "", 0
	for lines := bufio.NewScanner(c); lines.Scan(); {
		switch words := strings.Fields(lines.Text()); {
		case len(words) == 1 && words[0] == "PING":
			fmt.Fprint(c, "PONG\r\n")
		case len(words) == 3 && words[0] == "SUB":
			sid = words[2]
		case len(words) > 2 && strings.HasSuffix(words[0], "PUB"):
			questions++
			asked <- struct{}{}
			if questions > 1 {
				fmt.Fprintf(c, "MSG %s %s %d\r\n%s\r\n", words[2], sid, len(reply), reply)
			}
		}
	}
}

// A lost answer costs a moment, not the whole time that the start has; and the server's max_payload bounds what is let in.
func TestReplicasAsksAgain(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	asked, done := make(chan struct{}, 100), make(chan struct{})
	go func() {
		defer close(done)
		if c, err := l.Accept(); err == nil {
			forgetful(c, asked)
		}
	}()
	conn, err := nats.Connect("nats://"+l.Addr().String(), nats.NoReconnect())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	in := &Infra{NATS: conn}
	if err := in.Fits("mqtt.max_packet_size", 512<<10); err != nil {
		t.Errorf("half of max_payload: %v", err)
	}
	if err := in.Fits("mqtt.max_packet_size", 512<<10+1); err == nil || !strings.Contains(err.Error(), "mqtt.max_packet_size: 524289 bytes") {
		t.Errorf("more than half of max_payload: %v", err)
	}
	n, err := replicas(ctx, &Common{}, conn)
	if err != nil || n != 3 || len(asked) != 2 {
		t.Errorf("%d copies after %d questions, %v; want 3 after 2", n, len(asked), err)
	}
	conn.Close()
	<-done
}
