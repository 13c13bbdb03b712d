// What Python has and JavaScript has not, for code that was translated from it: tuples as keys, negative positions, the truth of
// lists.

// What two equal keys share. Texts stay themselves, and what looks like one of a tuple begins otherwise.
function $hash(key) {
  if (typeof key !== "object" || key === null) return typeof key === "boolean" ? Number(key) : key;
  if (!Array.isArray(key) && !(key instanceof $Tuple)) return key;
  let found = "\u0001";
  if (Array.isArray(key)) for (let k = 0; k < key.length; k++) found += `${$hash(key[k])}\u0001`;
  else for (const name of key.constructor.fields) found += `${$hash(key[name])}\u0001`;
  return found;
}

class $Dict {
  constructor(pairs = []) {
    this.pairs = new Map();
    this.update(pairs);
  }
  get size() { return this.pairs.size; }
  has(key) { return this.pairs.has($hash(key)); }
  get(key, other = null) {
    const pair = this.pairs.get($hash(key));
    return pair === undefined ? other : pair[1];
  }
  set(key, value) {
    const hash = $hash(key);
    const pair = this.pairs.get(hash);
    if (pair === undefined) this.pairs.set(hash, [key, value]);
    else pair[1] = value;
  }
  setdefault(key, value) {
    const hash = $hash(key);
    const pair = this.pairs.get(hash);
    if (pair !== undefined) return pair[1];
    this.pairs.set(hash, [key, value]);
    return value;
  }
  update(pairs) { for (const [key, value] of pairs instanceof $Dict ? pairs.items() : pairs) this.set(key, value); }
  items() { return [...this.pairs.values()]; }
  keys() { return this.items().map(([key]) => key); }
  values() { return this.items().map(([, value]) => value); }
  most_common(most) { return $sorted(this.items(), ([, n]) => -n).slice(0, most); }
  [Symbol.iterator]() { return this.keys()[Symbol.iterator](); }
}

class $Set {
  constructor(keys = []) {
    this.keys = new Map();
    this.update(keys);
  }
  get size() { return this.keys.size; }
  has(key) { return this.keys.has($hash(key)); }
  add(key) { if (!this.has(key)) this.keys.set($hash(key), key); }
  update(keys) { for (const key of keys) this.add(key); }
  [Symbol.iterator]() { return this.keys.values(); }
}

class $Tuple {
  [Symbol.iterator]() { return this.constructor.fields.map((name) => this[name])[Symbol.iterator](); }
}

for (let k = 0; k < 32; k++) {
  Object.defineProperty($Tuple.prototype, k, { get() { return this[this.constructor.fields[k]]; } });
}

const $replace = (tuple, changes) => {
  const { fields } = tuple.constructor;
  return new tuple.constructor(...fields.map((name) => (name in changes ? changes[name] : tuple[name])));
};
const $array = (from) => (Array.isArray(from) ? from : [...from]);
const $list = (from = []) => [...from];
const $tuple = $list;
const $iter = (from) => [...from][Symbol.iterator]();
const $set = (from = []) => new $Set(from);
const $frozenset = $set;
const $dict = (from = []) => new $Dict(from);

function $Counter(from) {
  const found = new $Dict();
  for (const key of from) found.set(key, found.get(key, 0) + 1);
  return found;
}

function $get(whole, key) {
  if (Array.isArray(whole) || typeof whole === "string") {
    const found = whole[key < 0 ? whole.length + key : key];
    if (found === undefined) throw new RangeError(`position ${key} of ${whole.length}`);
    return found;
  }
  if (whole instanceof $Tuple) return whole[key];
  const pair = whole.pairs.get($hash(key));
  if (pair === undefined) throw new RangeError(`nothing at ${key}`);
  return pair[1];
}

function $put(whole, key, value) {
  if (Array.isArray(whole)) whole[key < 0 ? whole.length + key : key] = value;
  else whole.set(key, value);
}

function $slice(whole, from, to, step) {
  if (step === null) return whole.slice(from ?? 0, to ?? undefined);
  if (step !== -1 || from !== null || to !== null) throw new RangeError("a slice with a step");
  return [...whole].reverse();
}

function $splice(whole, from, to, values) {
  const [start, end] = [from ?? 0, to ?? whole.length].map((n) => Math.min(n < 0 ? whole.length + n : n, whole.length));
  whole.splice(start, Math.max(0, end - start), ...values);
}

function $truth(value) {
  if (typeof value !== "object" || value === null) return Boolean(value);
  if (Array.isArray(value)) return value.length > 0;
  return value instanceof $Dict || value instanceof $Set ? value.size > 0 : true;
}

const $or = (value, other) => ($truth(value) ? value : other());
const $and = (value, other) => ($truth(value) ? other() : value);
const $bool = $truth;
const $add = (a, b) => (Array.isArray(a) ? [...a, ...b] : a + b);
const $either = (a, b) => (typeof a === "number" ? a | b : a instanceof $Dict ? new $Dict([...a.items(), ...b.items()]) : new $Set([...a, ...b]));
const $both = (a, b) => (typeof a === "number" ? a & b : new $Set([...a].filter((key) => b.has(key))));
const $minus = (a, b) => new $Set([...a].filter((key) => !b.has(key)));
const $modulo = (a, b) => a - b * Math.floor(a / b);

function $grow(a, b) {
  if (!Array.isArray(a)) return a + b;
  for (const value of b) a.push(value);
  return a;
}

function $times(list, n) {
  const found = [];
  for (let k = 0; k < n; k++) for (const value of list) found.push(value);
  return found;
}

function $equal(a, b) {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return typeof a === "boolean" && Number(a) === b;
  if (a instanceof $Set) return b instanceof $Set && a.size === b.size && [...a].every((key) => b.has(key));
  const [x, y] = [a, b].map((value) => (value instanceof $Tuple ? [...value] : value));
  return Array.isArray(x) && Array.isArray(y) && x.length === y.length && x.every((part, k) => $equal(part, y[k]));
}

function $in(key, whole) {
  if (typeof whole === "string") return whole.includes(key);
  if (!Array.isArray(whole)) return whole.has(key);
  for (let k = 0; k < whole.length; k++) if (whole[k] === key || $equal(whole[k], key)) return true;
  return false;
}

// Below 0 if a comes before b.
function $order(a, b) {
  if (!Array.isArray(a)) return a < b ? -1 : a > b ? 1 : 0;
  for (let k = 0; k < a.length && k < b.length; k++) {
    const found = $order(a[k], b[k]);
    if (found) return found;
  }
  return a.length - b.length;
}

function $sorted(from, key = null) {
  const keyed = [...from].map((value) => [key ? key(value) : value, value]);
  return keyed.sort((a, b) => $order(a[0], b[0])).map(([, value]) => value);
}

function $sort(list, key = null) {
  const found = $sorted(list, key);
  for (let k = 0; k < found.length; k++) list[k] = found[k];
}

function $best(from, key, other, sign) {
  let found, most;
  for (const value of from) {
    const at = key ? key(value) : value;
    if (most === undefined || sign * $order(at, most) > 0) [found, most] = [value, at];
  }
  if (found === undefined && other === undefined) throw new RangeError("the largest or smallest of nothing");
  return found === undefined ? other : found;
}

const $max = (from, key = null, other = undefined) => $best(from, key, other, 1);
const $min = (from, key = null, other = undefined) => $best(from, key, other, -1);
const $len = (of) => (of.length === undefined ? of.size : of.length);
const $abs = Math.abs;
const $dist = (a, b) => Math.hypot(a[0] - b[0], a[1] - b[1]);
const $int = Math.trunc;
const $float = (x) => ({ inf: Infinity, "-inf": -Infinity })[x] ?? Number(x);
const $round = (x, digits = 0) => Number(x.toFixed(digits));
const $copysign = (x, sign) => (sign < 0 || Object.is(sign, -0) ? -Math.abs(x) : Math.abs(x));
const $sum = (from) => $array(from).reduce((a, b) => a + b, 0);
const $any = (from) => $array(from).some($truth);
const $all = (from) => $array(from).every($truth);
const $map = (f, from) => $array(from).map((value) => f(value));
const $enumerate = (from, start = 0) => $array(from).map((value, k) => [k + start, value]);
const $reversed = (from) => [...from].reverse();
const $zip = (...from) => {
  const lists = from.map($array);
  return Array.from({ length: Math.min(...lists.map((list) => list.length)) }, (_, k) => lists.map((list) => list[k]));
};
const $pairwise = (from) => $array(from).slice(1).map((value, k, rest) => [k ? rest[k - 1] : $array(from)[0], value]);
function $range(from, to, step = 1) {
  const found = [];
  if (to === undefined) [from, to] = [0, from];
  for (let at = from; step > 0 ? at < to : at > to; at += step) found.push(at);
  return found;
}

function $next(from, other) {
  const { done, value } = from[Symbol.iterator]().next();
  if (done && other === undefined) throw new RangeError("the first of nothing");
  return done ? other : value;
}

function $bisect(list, x, after) {
  let [low, high] = [0, list.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (after ? x < list[middle] : x <= list[middle]) high = middle;
    else low = middle + 1;
  }
  return low;
}
const $bisect_left = (list, x) => $bisect(list, x, false);
const $bisect_right = (list, x) => $bisect(list, x, true);

// Texts.
const $str = (value) => (value === null ? "None" : typeof value === "boolean" ? (value ? "True" : "False") : String(value));
const $thousands = (n) => String(n).replace(/\B(?=(\d{3})+(?!\d))/g, ",");
const $join = (between, parts) => $array(parts).join(between);
const $isdigit = (text) => /^\d+$/.test(text);
const $removesuffix = (text, end) => (text.endsWith(end) ? text.slice(0, text.length - end.length) : text);

// Methods of lists.
const $count = (whole, part) => (typeof whole === "string" ? whole.split(part).length - 1 : whole.filter((x) => $equal(x, part)).length);
const $insert = (list, at, value) => { list.splice(at, 0, value); };
const $pop = (list, at = -1) => (at === -1 ? list.pop() : list.splice(at, 1)[0]);
const $remove = (list, value) => { list.splice($index(list, value), 1); };
function $index(list, value) {
  const found = list.findIndex((x) => $equal(x, value));
  if (found < 0) throw new RangeError("it is not in the list");
  return found;
}
