// Where the stages of a graph stand: columns by their distance from the sources, the longest
// way through them as a line at the top, further readers in rows below it. No DOM.

/** @returns {{columns: number, rows: number, line: string[], places: Object, edges: Object[]}} */
export function arrange(stages, links) {
  const ids = stages.map((stage) => stage.id);
  const known = new Set(ids);
  const edges = links.filter((link) => known.has(link.from) && known.has(link.to));
  const feeders = group(edges, "to", "from");
  const readers = group(edges, "from", "to");
  const order = topological(ids, feeders, readers);
  const column = {};
  for (const id of order) column[id] = Math.max(0, ...(feeders[id] ?? []).map((from) => column[from] + 1));
  const line = longestWay(order, readers, new Set(stages.filter((s) => s.family === "peer").map((s) => s.id)));
  const onLine = new Set(line);
  const last = Math.max(0, ...Object.values(column));
  for (const stage of stages) {
    if (!onLine.has(stage.id) && !(readers[stage.id] ?? []).length && (feeders[stage.id] ?? []).length) column[stage.id] = last;
  }
  const places = {};
  for (const id of line) places[id] = { column: column[id], row: 0 };
  const taken = [];
  // What branches off last stands highest: then no rail crosses another.
  const branch = (id) => Math.max(-1, ...(feeders[id] ?? []).map((from) => column[from]));
  for (const id of order.filter((each) => !onLine.has(each)).sort((a, b) => branch(b) - branch(a))) {
    const near = [...(feeders[id] ?? []), ...(readers[id] ?? [])].map((other) => column[other]);
    const from = Math.min(column[id], ...near);
    const to = Math.max(column[id], ...near);
    // Two may meet under one stage, the one that ends there and the one that begins there.
    const meets = (each) => each.from < to && each.to > from;
    const covers = (each) => each.column === column[id];
    let row = 1;
    while (taken.some((each) => each.row === row && (meets(each) || covers(each)))) row += 1;
    taken.push({ row, from, to, column: column[id] });
    places[id] = { column: column[id], row };
  }
  return {
    columns: last + 1,
    rows: 1 + Math.max(0, ...Object.values(places).map((place) => place.row)),
    line,
    places,
    edges: edges.map((edge) => ({ ...edge, way: way(places[edge.from], places[edge.to]) })),
    order: readingOrder(line, order, onLine, readers),
  };
}

export const keyOf = (link) => `${link.from}>${link.to}.${link.inlet}`;

/** straight: along a row; down: out of the bottom, then right; up: right, then into the bottom. */
function way(from, to) {
  if (from.row === to.row) return "straight";
  return to.row > from.row ? "down" : "up";
}

/** What feeds the line beside its own source, then the line, then what else reads. */
function readingOrder(line, order, onLine, readers) {
  const leads = {};
  for (const id of [...order].reverse()) leads[id] = onLine.has(id) || (readers[id] ?? []).some((reader) => leads[reader]);
  const others = order.filter((id) => !onLine.has(id));
  return [...others.filter((id) => leads[id]), ...line, ...others.filter((id) => !leads[id])];
}

function group(edges, by, what) {
  const groups = {};
  for (const edge of edges) (groups[edge[by]] ??= []).push(edge[what]);
  return groups;
}

function topological(ids, feeders, readers) {
  const waits = Object.fromEntries(ids.map((id) => [id, (feeders[id] ?? []).length]));
  const ready = ids.filter((id) => !waits[id]);
  const order = [];
  while (ready.length) {
    const id = ready.shift();
    order.push(id);
    for (const reader of readers[id] ?? []) if (!(waits[reader] -= 1)) ready.push(reader);
  }
  return [...order, ...ids.filter((id) => !order.includes(id))];
}

/** The way with the most stages from a source to a sink, through a peer where there is one. */
function longestWay(order, readers, peers) {
  const best = {};
  for (const id of [...order].reverse()) {
    const next = (readers[id] ?? []).filter((reader) => best[reader]).sort((a, b) => best[b].worth - best[a].worth)[0];
    best[id] = { worth: 1 + (peers.has(id) ? 100 : 0) + (next ? best[next].worth : 0), next };
  }
  let id = order.filter((each) => best[each]).sort((a, b) => best[b].worth - best[a].worth)[0];
  const line = [];
  while (id) {
    line.push(id);
    id = best[id].next;
  }
  return line;
}
