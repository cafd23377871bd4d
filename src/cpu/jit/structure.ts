/**
 * The structure of a region's control flow: dominators, loops and merges, from which structured
 * code is written (N. Ramsey, "Beyond Relooper", ICFP 2022). All entries hang below a virtual root
 * that dispatches; an edge that would make a loop irreducible goes through the root too.
 */
import { defined } from "../../base/assert.ts";

/** Nodes are numbers from 0 on. */
export interface FlowGraph {
  readonly successors: readonly (readonly number[])[];
  /** Nodes that are entered from outside. */
  readonly entries: readonly number[];
}

export interface FlowStructure {
  /** Position in reverse postorder; -1 for a node that no entry reaches. */
  readonly rank: readonly number[];
  /** Nodes that the root dominates immediately, in reverse postorder: it can dispatch to them. */
  readonly roots: readonly number[];
  /** Merges that a node dominates immediately, last in reverse postorder first. */
  readonly merges: readonly (readonly number[])[];
  readonly isLoop: readonly boolean[];
  /** More than one forward edge comes in: the node is branched to, not written in place. */
  readonly isMerge: readonly boolean[];
  dominates(above: number, below: number): boolean;
}

/** Reverse postorder from the root; the root comes first. */
function reversePostorder(successors: readonly (readonly number[])[], root: number): number[] {
  const order: number[] = [];
  const seen = new Uint8Array(successors.length);
  const stack: { node: number; next: number }[] = [{ node: root, next: 0 }];
  seen[root] = 1;
  for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
    const next = successors[top.node]?.[top.next];
    top.next += 1;
    if (next === undefined) {
      order.push(top.node);
      stack.pop();
    } else if (seen[next] === 0) {
      seen[next] = 1;
      stack.push({ node: next, next: 0 });
    }
  }
  return order.reverse();
}

function predecessorsOf(successors: readonly (readonly number[])[]): number[][] {
  const predecessors: number[][] = successors.map(() => []);
  for (const [from, list] of successors.entries()) {
    for (const to of new Set(list)) {
      defined(predecessors[to], "a node").push(from);
    }
  }
  return predecessors;
}

/** Immediate dominators by node (Cooper, Harvey, Kennedy); the root's is itself. */
function immediateDominators(
  order: readonly number[], rank: readonly number[], predecessors: readonly (readonly number[])[],
): Int32Array {
  const above = new Int32Array(rank.length).fill(-1);
  const [root = 0] = order;
  above[root] = root;
  const rankOf = (node: number) => defined(rank[node], "a node");
  const meet = (first: number, second: number) => {
    let a = first, b = second;
    while (a !== b) {
      while (rankOf(a) > rankOf(b)) a = defined(above[a], "a dominator");
      while (rankOf(b) > rankOf(a)) b = defined(above[b], "a dominator");
    }
    return a;
  };
  for (let changed = true; changed;) {
    changed = false;
    for (const node of order.slice(1)) {
      let found = -1;
      for (const from of predecessors[node] ?? []) {
        if (above[from] !== -1) {
          found = found === -1 ? from : meet(found, from);
        }
      }
      if (above[node] !== found) {
        above[node] = found;
        changed = true;
      }
    }
  }
  return above;
}

interface Analysis {
  readonly order: readonly number[];
  readonly rank: readonly number[];
  readonly above: Int32Array;
  readonly predecessors: readonly (readonly number[])[];
  dominates(a: number, b: number): boolean;
}

function analyse(graph: FlowGraph, entries: ReadonlySet<number>): Analysis {
  const root = graph.successors.length;
  const successors = [...graph.successors, [...entries]];
  const order = reversePostorder(successors, root);
  const rank = successors.map(() => -1);
  for (const [position, node] of order.entries()) {
    rank[node] = position;
  }
  const reached = successors.map((list, node) => rank[node] === -1 ? [] : list);
  const predecessors = predecessorsOf(reached);
  const above = immediateDominators(order, rank, predecessors);
  const dominates = (a: number, b: number) => {
    let node = b;
    while ((rank[node] ?? -1) > (rank[a] ?? -1)) {
      node = above[node] ?? root;
    }
    return node === a;
  };
  return { order, rank, above, predecessors, dominates };
}

/** Nodes that are branched back to although they do not dominate where the branch comes from. */
function irreducibleTargets(graph: FlowGraph, found: Analysis, root: number): Set<number> {
  const targets = new Set<number>();
  for (const from of found.order) {
    for (const to of graph.successors[from] ?? []) {
      const back = (found.rank[to] ?? 0) <= (found.rank[from] ?? 0);
      if (back && !found.dominates(to, from) && found.above[to] !== root) {
        targets.add(to);
      }
    }
  }
  return targets;
}

export function structureOf(graph: FlowGraph): FlowStructure {
  const root = graph.successors.length;
  const entries = new Set(graph.entries);
  let found = analyse(graph, entries);
  for (let more = irreducibleTargets(graph, found, root); more.size > 0;
    more = irreducibleTargets(graph, found, root)) {
    for (const to of more) {
      entries.add(to);
    }
    found = analyse(graph, entries);
  }
  const { order, rank, above, predecessors, dominates } = found;
  const isLoop = graph.successors.map((_, node) => (predecessors[node] ?? []).some((from) =>
    (rank[from] ?? 0) >= (rank[node] ?? 0) && dominates(node, from)));
  const isMerge = graph.successors.map((_, node) => (predecessors[node] ?? []).filter((from) =>
    (rank[from] ?? 0) < (rank[node] ?? 0)).length > 1);
  const merges: number[][] = graph.successors.map(() => []);
  const roots: number[] = [];
  for (const node of order.slice(1)) {
    const parent = defined(above[node], "a dominator");
    if (parent === root) {
      roots.push(node);
    } else if (isMerge[node] === true) {
      defined(merges[parent], "a node").unshift(node);
    }
  }
  return { rank, roots, merges, isLoop, isMerge, dominates };
}
