// What ssh2 of Node.js sees of commands and files: PORT USER KEY HOST-KEY HERE THERE. Prints it as JSON.
'use strict';

const fs = require('node:fs');
const path = require('node:path');
const { promisify } = require('node:util');
const { Client } = require('ssh2');

const [port, user, key, hostKey, here, there] = process.argv.slice(2);
const client = new Client();

function exec(command, input, options = {}) {
  return new Promise((resolve, reject) => {
    client.exec(command, options, (error, stream) => {
      if (error) return reject(error);
      const seen = { out: 0, err: '' };
      let end;
      stream.on('data', (data) => { seen.out += data.length; });
      stream.stderr.on('data', (data) => { seen.err += data; });
      stream.on('exit', (code, signal) => { end = { code, signal }; });
      stream.on('close', () => resolve({ ...seen, ...end }));
      stream.end(input);
    });
  });
}

async function work() {
  const seen = {};
  seen.exec = await exec('cat; echo err >&2; exit 7', Buffer.alloc(1_000_000, 'x'));
  seen.signal = await exec('kill -TERM $$', '');
  seen.pty = await exec('test -t 0 && exit 3', '', { pty: true });
  seen.many = await Promise.all(Array.from({ length: 8 }, (_, i) => exec(`exit ${i}`, '')));

  const sftp = await promisify(client.sftp.bind(client))();
  const call = (name, ...args) => promisify(sftp[name].bind(sftp))(...args);
  const at = (name) => path.posix.join(there, name);
  await call('fastPut', path.join(here, 'large'), at('large'));
  await call('fastGet', at('large'), path.join(here, 'back'));
  await call('mkdir', at('dir'));
  await call('writeFile', at('dir/a'), 'text\n');
  await call('appendFile', at('dir/a'), 'more\n');
  await call('rename', at('dir/a'), at('dir/b'));
  await call('symlink', 'dir/b', at('soft'));
  await call('chmod', at('dir/b'), 0o600);
  seen.read = (await call('readFile', at('soft'))).toString();
  seen.size = (await call('stat', at('large'))).size;
  seen.names = (await call('readdir', there)).map((entry) => entry.filename).sort();
  seen.error = await call('stat', at('none')).catch((error) => [error.code, error.message]);
  await new Promise((resolve, reject) => {
    fs.createReadStream(path.join(here, 'large')).pipe(sftp.createWriteStream(at('streamed'))).on('close', resolve).on('error', reject);
  });
  return seen;
}

client.on('error', (error) => { console.error(error.message); process.exit(1); });
client.on('ready', () => {
  work().then((seen) => { console.log(JSON.stringify(seen)); client.end(); }, (error) => { console.error(error); process.exit(1); });
});
client.connect({
  host: '127.0.0.1',
  port: Number(port),
  username: user,
  privateKey: fs.readFileSync(key),
  algorithms: { serverHostKey: ['ssh-ed25519'] },
  hostVerifier: (shown) => shown.equals(Buffer.from(hostKey.split(' ')[1], 'base64')),
  readyTimeout: 30_000,
});
