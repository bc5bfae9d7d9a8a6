// Signs and verifies cards with the official JavaScript SDK: `node signing.mjs '[{"do": "sign", …}, …]'`.
//
// Prints a JSON list: of a `sign` the signed card, of a `verify` whether it verifies. A job with `"as": "object"` hands
// the SDK its own object, as its resolver makes it, instead of the card's JSON.

import { createRequire } from "node:module";
import { AgentCard, generateAgentCardSignature, verifyAgentCardSignature } from "@a2a-js/sdk";

console.debug = () => {}; // where the SDK tells why a signature did not verify

// The SDK's own copy of the library that it takes keys of.
const { importJWK, importPKCS8 } = createRequire(process.cwd() + "/")("jose");

function given(job) {
  return job.as === "object" ? AgentCard.fromJSON(job.card) : job.card;
}

async function sign(job) {
  const signer = generateAgentCardSignature(await importPKCS8(job.pem, job.alg), {
    alg: job.alg,
    kid: job.kid,
    typ: "JOSE",
  });
  const signed = await signer(given(job));
  return job.as === "object" ? AgentCard.toJSON(signed) : signed;
}

async function verify(job) {
  const key = async (kid) => importJWK(job.keys.find((each) => each.kid === kid));
  try {
    await verifyAgentCardSignature(key)(given(job));
    return true;
  } catch {
    return false;
  }
}

const answers = [];
for (const job of JSON.parse(process.argv[2])) answers.push(await { sign, verify }[job.do](job));
console.log(JSON.stringify(answers));
