// Drives clients of MQTT.js for the Go tests: one command per line on standard input, {"id", "op", "client", ...}; one answer {"id", "error"?, "result"?} or
// event {"client", "event", ...} per line on standard output, the first of which is {"event": "ready"}. It ends with its input.
import { createInterface } from 'node:readline';
import { readFileSync } from 'node:fs';
import mqtt from 'mqtt';

const clients = new Map();

const tell = (x) => process.stdout.write(JSON.stringify(x) + '\n');

function open({ client, url, options, ca }) {
  return new Promise((resolve, reject) => {
    if (ca) options.ca = readFileSync(ca);
    const c = mqtt.connect(url, { reconnectPeriod: 0, connectTimeout: 20000, resubscribe: false, ...options });
    clients.set(client, c);
    c.on('message', (topic, payload, packet) => {
      const { qos, retain, dup, properties } = packet;
      tell({ client, event: 'message', topic, payload: payload.toString('base64'), qos, retain, dup, user: properties?.userProperties });
    });
    c.on('connect', (packet) => resolve({ present: packet.sessionPresent }));
    c.on('error', (error) => reject(error));
    c.on('close', () => { tell({ client, event: 'close' }); reject(new Error('closed')); });
  });
}

const operations = {
  connect: open,
  subscribe: async ({ client, filters, qos }) => {
    const granted = await clients.get(client).subscribeAsync(filters, { qos });
    return { granted: granted.map((g) => g.qos) };
  },
  publish: async ({ client, topic, payload, qos, retain, properties }) => {
    await clients.get(client).publishAsync(topic, Buffer.from(payload, 'base64'), { qos, retain, properties });
    return {};
  },
  end: async ({ client, force }) => {
    const c = clients.get(client);
    clients.delete(client);
    await c.endAsync(force);
    return {};
  },
};

tell({ event: 'ready' });
for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  operations[command.op](command).then(
    (result) => tell({ id: command.id, result }),
    (error) => tell({ id: command.id, error: String(error?.message ?? error) }),
  );
}
process.exit(0);
