// What pack() of _pack.py made of an array of integers.

async function unpack(packed) {
  const text = atob(packed.data);
  const bytes = Uint8Array.from(text, (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  const planes = new Uint8Array(await new Response(stream).arrayBuffer());
  const { n, width, delta } = packed;
  if (packed.large) return unpackLarge(packed, planes);
  const values = new Float64Array(n);
  let last = 0;
  for (let i = 0; i < n; i++) {
    let folded = 0;
    for (let plane = width - 1; plane >= 0; plane--) folded = folded * 256 + planes[plane * n + i];
    const value = folded % 2 === 0 ? folded / 2 : -(folded + 1) / 2;
    last = delta ? last + value : value;
    values[i] = last;
  }
  return values;
}

// Integers of 64 bits, as BigInt: such an array keeps them modulo 2**64.
function unpackLarge({ n, width, delta, large }, planes) {
  const values = large === "i" ? new BigInt64Array(n) : new BigUint64Array(n);
  let last = 0n;
  for (let i = 0; i < n; i++) {
    let folded = 0n;
    for (let plane = width - 1; plane >= 0; plane--) folded = folded * 256n + BigInt(planes[plane * n + i]);
    const value = folded % 2n === 0n ? folded / 2n : -(folded + 1n) / 2n;
    values[i] = delta ? last + value : value;
    last = values[i];
  }
  return values;
}
