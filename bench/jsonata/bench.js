// Side by side: npm jsonata and this project's package jsonata, one case after
// the other on the same machine.
//
//   JSONATA_NODE_MODULES=folder/node_modules node bench/jsonata/bench.js
//
// The folder holds the npm package jsonata; go must be on the path.
'use strict';
const { execFileSync } = require('node:child_process');
const path = require('node:path');
const os = require('node:os');
const modules = process.env.JSONATA_NODE_MODULES;
if (!modules) { console.error('set JSONATA_NODE_MODULES to a node_modules folder with jsonata in it'); process.exit(2); }
const jsonata = require(path.join(modules, 'jsonata'));
const version = require(path.join(modules, 'jsonata', 'package.json')).version;
const root = path.join(__dirname, '..', '..');
const cases = require('./cases.json');
const states = require('./input.js');

// perCall runs fn for about a second after warming up and gives the mean time
// of one call in nanoseconds, the best of five rounds.
async function perCall(fn) {
  for (let t = process.hrtime.bigint(); process.hrtime.bigint() - t < 400_000_000n;) await fn();
  let best = Infinity;
  for (let round = 0; round < 5; round++) {
    let n = 0;
    const t = process.hrtime.bigint();
    let d = 0n;
    do {
      for (let i = 0; i < 20; i++) await fn();
      n += 20;
      d = process.hrtime.bigint() - t;
    } while (d < 300_000_000n);
    best = Math.min(best, Number(d) / n);
  }
  return best;
}

// goFigures runs the Go benchmarks and keeps the best of five. A benchmark's heap
// is a few megabytes, so that Go would collect it a thousand times a second; the
// server sets GOGC from the machine's memory, and node begins with a larger heap.
function goFigures() {
  const text = execFileSync('go', ['test', './jsonata', '-run', '^$', '-bench', '^Benchmark(Eval|Compile)$', '-count', '5', '-benchtime', '300ms'], { cwd: root, encoding: 'utf8', env: { ...process.env, GOGC: '400' } });
  const out = {};
  for (const line of text.split('\n')) {
    const m = /^Benchmark(\w+)\/(\w+?)(?:-\d+)?\s+\d+\s+([\d.]+) ns\/op\s+(\d+) B\/op\s+(\d+) allocs\/op/.exec(line);
    if (!m) continue;
    const key = m[1] + '/' + m[2];
    const ns = Number(m[3]);
    if (!out[key] || ns < out[key].ns) out[key] = { ns, bytes: Number(m[4]), allocs: Number(m[5]) };
  }
  return out;
}

(async () => {
  const rows = [];
  for (const c of cases) {
    const e = jsonata(c.expr);
    const evalNs = await perCall(() => e.evaluate(undefined, { states }));
    const parseNs = await perCall(() => jsonata(c.expr));
    rows.push({ name: c.name, evalNs, parseNs });
  }
  const go = goFigures();
  console.log(`npm jsonata ${version} on node ${process.version}, ${execFileSync('go', ['version'], { encoding: 'utf8' }).trim()}`);
  console.log(`${new Date().toISOString().slice(0, 10)}, ${os.cpus().length} cores, ${os.cpus()[0].model}`);
  console.log('GOGC=400; the best of five rounds on either side');
  console.log(`load average ${os.loadavg().map((x) => x.toFixed(1)).join(' ')}`);
  console.log('command: JSONATA_NODE_MODULES=folder/node_modules node bench/jsonata/bench.js\n');
  const pad = (s, n) => String(s).padStart(n);
  console.log('evaluation'.padEnd(28) + pad('npm ns', 12) + pad('ours ns', 12) + pad('ratio', 8) + pad('B/op', 8) + pad('allocs', 8));
  for (const r of rows) {
    const g = go['Eval/' + r.name];
    console.log(r.name.padEnd(28) + pad(r.evalNs.toFixed(0), 12) + pad(g.ns.toFixed(0), 12) + pad((r.evalNs / g.ns).toFixed(1), 8) + pad(g.bytes, 8) + pad(g.allocs, 8));
  }
  console.log('\n' + 'parse and compile'.padEnd(28) + pad('npm ns', 12) + pad('ours ns', 12) + pad('ratio', 8) + pad('B/op', 8) + pad('allocs', 8));
  for (const r of rows) {
    const g = go['Compile/' + r.name];
    console.log(r.name.padEnd(28) + pad(r.parseNs.toFixed(0), 12) + pad(g.ns.toFixed(0), 12) + pad((r.parseNs / g.ns).toFixed(1), 8) + pad(g.bytes, 8) + pad(g.allocs, 8));
  }
})();
