package sys

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/pando-mq/pando/services/cluster"
)

// askTimeout is how long another process may take to tell its figures.
const askTimeout = 5 * time.Second

// kinds of statistics, each with a count and a maximum.
var kinds = []string{"clients", "sessions", "topics", "subscribers", "subscriptions", "routes", "retained"}

// tellFigures publishes statistics and metrics. A service that does not answer leaves its part out, and the next time tries again.
func (s *Service) tellFigures(ctx context.Context) {
	node, err := s.deps.Gateway.Node(ctx)
	if err != nil {
		s.metrics.failed.Inc()
		return
	}
	stats := s.stats(ctx, node.Stats)
	for _, name := range slices.Sorted(maps.Keys(stats)) {
		s.publish(s.prefix+"stats/"+name, strconv.FormatInt(stats[name], 10), false)
	}
	node.Metrics["messages/retained"] = stats["retained/count"]
	for _, name := range slices.Sorted(maps.Keys(node.Metrics)) {
		s.publish(s.prefix+"metrics/"+name, strconv.FormatInt(node.Metrics[name], 10), false)
	}
}

// stats are this node's own figures, what its session-store holds where it is one too (all-in-one), and what the routers hold, which belongs to
// no node and is told by each.
func (s *Service) stats(ctx context.Context, own map[string]int64) map[string]int64 {
	sum := map[string]int64{}
	for _, kind := range kinds {
		for _, what := range [...]string{"/count", "/max"} {
			sum[kind+what] = own[kind+what]
		}
	}
	others := SumRouters(s.ask(ctx, cluster.Router, func(ctx context.Context, n cluster.Node) (map[string]int64, error) {
		return s.deps.Routers(n).RouterStats(ctx)
	}))
	for _, store := range s.ask(ctx, cluster.SessionStore, func(ctx context.Context, n cluster.Node) (map[string]int64, error) {
		if name(n) != s.deps.Node {
			return nil, nil
		}
		return s.deps.Stores(n).SessionStats(ctx)
	}) {
		for _, kind := range kinds {
			others[kind+"/count"] += store[kind+"/count"]
		}
	}
	for _, kind := range kinds {
		count := kind + "/count"
		sum[count] += others[count]
		s.highest[kind] = max(s.highest[kind], sum[count])
		sum[kind+"/max"] = max(sum[kind+"/max"], s.highest[kind])
	}
	return sum
}

// ask puts one question to every process of a role, one after the other: it is asked once in an interval.
func (s *Service) ask(ctx context.Context, role cluster.Role, question func(context.Context, cluster.Node) (map[string]int64, error)) (answers []map[string]int64) {
	for _, n := range s.deps.Cluster.View().Nodes(role) {
		one, cancel := context.WithTimeout(ctx, askTimeout)
		answer, err := question(one, n)
		cancel()
		if err != nil {
			s.metrics.failed.Inc()
			continue
		}
		answers = append(answers, answer)
	}
	return answers
}

// SumRouters adds up what routers hold (broker.RouterAdmin.RouterStats). Each has every wildcard route, so that part counts once.
func SumRouters(answers []map[string]int64) map[string]int64 {
	sum, most := map[string]int64{}, map[string]int64{}
	for _, a := range answers {
		for name, n := range a {
			sum[name] += n
		}
		for _, what := range [...]string{"routes", "topics"} {
			n := a[what+"/wildcard"]
			sum[what+"/count"] -= n
			most[what] = max(most[what], n)
		}
	}
	for what, n := range most {
		sum[what+"/count"] += n
	}
	return sum
}
