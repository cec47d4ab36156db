package processrpc

import (
	"context"

	"google.golang.org/grpc"

	processv1 "github.com/pando-mq/pando/proto/gen/pando/process/v1"
	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/rpc"
	"github.com/pando-mq/pando/services/rpc/brokerrpc"
)

// Register serves a process.
func Register(reg grpc.ServiceRegistrar, impl broker.ProcessAdmin) {
	processv1.RegisterProcessServiceServer(reg, &server{impl: impl})
}

type server struct {
	processv1.UnimplementedProcessServiceServer
	impl broker.ProcessAdmin
}

func (s *server) ReloadConfig(ctx context.Context, _ *processv1.ReloadConfigRequest) (*processv1.ReloadConfigResponse, error) {
	changes, err := s.impl.ReloadConfig(ctx)
	return &processv1.ReloadConfigResponse{Changes: brokerrpc.Map(changes, func(c *broker.ConfigChange) *processv1.ConfigChange {
		return &processv1.ConfigChange{Key: rpc.Text(c.Key), From: rpc.Text(c.From), To: rpc.Text(c.To), Hot: c.Hot}
	})}, rpc.ToStatus(err)
}
