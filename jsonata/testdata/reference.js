// Evaluates expressions with the npm package jsonata. Each line of the input is
// {"expr": …, "input": …, "bindings": …}; each line of the output is
// {"result": …}, {"nothing": true} or {"error": {code, position, token, message}}.
'use strict';
const path = require('node:path');
const jsonata = require(path.join(process.argv[2], 'jsonata'));
// The current time is the same for both sides.
const RealDate = Date;
globalThis.Date = class extends RealDate {
  constructor(...args) { super(...(args.length ? args : [1500000000000])); }
};
const lines = require('node:fs').readFileSync(0, 'utf8').split('\n').filter(Boolean);
const after = (ms) => new Promise((resolve) => setTimeout(resolve, ms).unref());
(async () => {
  for (const line of lines) {
    const { expr, input, bindings } = JSON.parse(line);
    let out;
    try {
      const e = jsonata(expr, { timeout: 1000, stack: 400, sequence: 20000 });
      const r = await e.evaluate(input, bindings);
      if (r === undefined) out = { nothing: true };
      else if (typeof r === 'function' || (r && (r._jsonata_lambda || r._jsonata_function))) out = { function: true };
      else out = { result: r };
    } catch (err) {
      out = { error: { code: err.code || '', position: err.position, token: err.token, message: err.message } };
      if (out.error.token !== undefined && typeof out.error.token !== 'string') out.error.token = String(out.error.token);
    }
    let text;
    try { text = JSON.stringify(out); } catch (err) { text = '{"unprintable":true}'; }
    process.stdout.write(text + '\n');
  }
})();
