// The "ws" package on Node.js, as its manual shows it: echo and broadcast.
const { WebSocketServer } = require('ws');

const port = Number(process.argv[process.argv.indexOf('--port') + 1]);
const server = new WebSocketServer({ host: '127.0.0.1', port, backlog: 2048 });

server.on('connection', (socket) => {
  socket.on('error', () => {});
  socket.on('message', (data, isBinary) => {
    if (isBinary) {
      socket.send(data, { binary: true });
      return;
    }
    const [, messages, size] = data.toString().split(' ').map(Number);
    const content = 'x'.repeat(size);
    for (let i = 0; i < messages; i += 1) {
      for (const subscriber of server.clients) subscriber.send(content);
    }
  });
});
