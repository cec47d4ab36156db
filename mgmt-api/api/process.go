package api

import (
	"context"

	mgmtv1 "github.com/pando-mq/pando/proto/gen/pando/mgmt/v1"

	"github.com/pando-mq/pando/services/broker"
)

func (s *service) ReloadConfig(ctx context.Context, r *mgmtv1.ReloadConfigRequest) (*mgmtv1.ReloadConfigResponse, error) {
	list, missing, err := s.fleet.ReloadConfig(ctx, r.GetNode())
	answer := &mgmtv1.ReloadConfigResponse{Missing: convert(missing, missingOf)}
	for _, p := range list {
		if p.Err != nil {
			answer.Refused = append(answer.Refused, &mgmtv1.Missing{Service: p.Process, Reason: p.Err.Error()})
			continue
		}
		answer.Processes = append(answer.Processes, p.Process)
		answer.Changes = append(answer.Changes, convert(p.Changes, func(c broker.ConfigChange) *mgmtv1.ConfigChange {
			return &mgmtv1.ConfigChange{Process: p.Process, Key: c.Key, From: c.From, To: c.To, Hot: c.Hot}
		})...)
	}
	return answer, err
}
