// Command gateway-mqtt is where MQTT clients connect.
package main

import (
	"github.com/pando-mq/pando/services/boot"
)

func main() {
	c := &program{config: newConfig()}
	boot.Main(boot.Program{
		Name: "gateway-mqtt", Does: "is where MQTT clients connect: 1883, TLS 8883, WebSocket 8083, WSS 8084.", Port: boot.PortGateway,
		Config: c.config, Common: &c.Common, Settle: c.settle, Fresh: func() any { return newConfig() }, Use: c.use, Build: c.build,
	})
}
