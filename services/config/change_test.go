package config_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/pando-mq/pando/services/config"
)

// running is the configuration of a program that can change a part of it while it runs.
type running struct {
	Level string              `yaml:"level" default:"info" hot:"true" doc:"Logged."`
	Port  int                 `yaml:"port" default:"1883" doc:"Port."`
	Token config.Secret       `yaml:"token" doc:"Secret."`
	Queue queues              `yaml:"queue"`
	Doors map[string]listener `yaml:"doors" doc:"Doors."`
}

type queues struct {
	Low      int            `yaml:"low" default:"2" hot:"true" doc:"Low."`
	High     int            `yaml:"high" default:"6" doc:"High."`
	Priority map[string]int `yaml:"priority" hot:"true" doc:"Priorities."`
}

func (q queues) Validate() error {
	if q.Low > q.High {
		return config.Invalid("low", "above high")
	}
	return nil
}

func loadRunning(t *testing.T, text string) (*running, *config.Loaded) {
	t.Helper()
	c := &running{}
	l, err := config.Load(c, config.Source{File: "pando.yaml", Text: []byte(text)})
	if err != nil {
		t.Fatal(err)
	}
	return c, l
}

// Hot keys change, the others stay, and all that differ are named, without secrets.
func TestSucceed(t *testing.T) {
	t.Parallel()
	_, was := loadRunning(t, "token: old\nqueue: {priority: {a: 1, b: 2}}\ndoors: {x: {bind: '127.0.0.1:1'}, y: {bind: '127.0.0.1:2'}}\n")
	c, next := loadRunning(t, "level: debug\nport: 1884\ntoken: new\nqueue: {low: 3, high: 9, priority: {a: 5, c: 3}}\ndoors: {x: {bind: '127.0.0.1:9'}}\n")
	changes, err := was.Succeed(next)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, x := range changes {
		got = append(got, fmt.Sprintf("%s %s>%s %t", x.Key, x.From, x.To, x.Hot))
	}
	want := "level info>debug true, port 1883>1884 false, token \"******\">\"******\" false, queue.low 2>3 true, queue.high 6>9 false, " +
		"queue.priority.a 1>5 true, queue.priority.b 2> true, queue.priority.c >3 true, doors.x.bind \"127.0.0.1:1\">\"127.0.0.1:9\" false, doors.y a section> false"
	if s := strings.Join(got, ", "); s != want {
		t.Errorf("changes\n%s\nwant\n%s", s, want)
	}
	if c.Level != "debug" || c.Port != 1883 || c.Queue.Low != 3 || c.Queue.High != 6 || fmt.Sprint(c.Queue.Priority) != "map[a:5 c:3]" || len(c.Doors) != 2 ||
		c.Token.Value() != "old" {
		t.Errorf("in force: %+v", c)
	}
	if changes, err := next.Succeed(next); err != nil || len(changes) != 0 {
		t.Errorf("of itself: %v, %v", changes, err)
	}
}

// A hot value that fits only with a value that stays behind is refused.
func TestSucceedRefuses(t *testing.T) {
	t.Parallel()
	_, was := loadRunning(t, "")
	_, next := loadRunning(t, "queue: {low: 8, high: 9}\n")
	if _, err := was.Succeed(next); err == nil || !strings.Contains(err.Error(), "queue.low: above high") {
		t.Errorf("got %v", err)
	}
}
