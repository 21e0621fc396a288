// Reads or writes one did:webvh log with didwebvh-ts. A job on stdin, the answer on stdout:
//
//   {"do": "read", "log": "…", "witnessFile": null}
//     -> {"versionId": "3-Qm…", "deactivated": false, "keys": ["z6Mk…"], "error": null}
//   {"do": "write", "host": "hub.example", "seeds": ["<64 hex digits>", …], "key": "z6Mk…", "end": false}
//     -> {"did": "did:webvh:…", "log": "…"}
//
// Written are three versions with pre-rotation, signed by the first three seeds in turn; the third promises the fourth, or
// with `end` nobody: then a fourth, by the third seed, ends the DID.
import {createDID, deactivateDID, deriveNextKeyHash, multibaseEncode, MultibaseEncoding, prepareDataForSigning,
  resolveDIDFromLog, updateDID} from 'didwebvh-ts';
import {createPrivateKey, createPublicKey, sign, verify} from 'node:crypto';
import {readJob} from './job.mjs';

const PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex');
const SPKI = Buffer.from('302a300506032b6570032100', 'hex');
const MULTIKEY = Buffer.from([0xed, 0x01]);
const TIMES = ['2026-01-01T00:00:01Z', '2026-01-02T00:00:01Z', '2026-01-03T00:00:01Z'];

const verifier = {
  async verify(signature, message, key) {
    const raw = Buffer.concat([SPKI, Buffer.from(key)]);
    return verify(null, message, createPublicKey({key: raw, format: 'der', type: 'spki'}), signature);
  }
};

function signerOf(seed) {
  const raw = Buffer.concat([PKCS8, Buffer.from(seed, 'hex')]);
  const secret = createPrivateKey({key: raw, format: 'der', type: 'pkcs8'});
  const key = createPublicKey(secret).export({format: 'der', type: 'spki'}).subarray(SPKI.length);
  const multikey = multibaseEncode(Buffer.concat([MULTIKEY, key]), MultibaseEncoding.BASE58_BTC);
  return {
    multikey,
    getVerificationMethodId: () => `did:key:${multikey}#${multikey}`,
    async sign({document, proof}) {
      const input = await prepareDataForSigning(document, proof);
      return {proofValue: multibaseEncode(sign(null, input, secret), MultibaseEncoding.BASE58_BTC)};
    }
  };
}

async function read({log, witnessFile}) {
  const entries = log.trim().split('\n').map(line => JSON.parse(line));
  const witnessProofs = witnessFile === null ? undefined : JSON.parse(witnessFile);
  try {
    const {doc, meta} = await resolveDIDFromLog(entries, {verifier, witnessProofs});
    const keys = (doc?.verificationMethod ?? []).map(method => method.publicKeyMultibase);
    const error = meta.error ? `${meta.error}: ${meta.problemDetails?.detail}` : null;
    return {versionId: meta.versionId, deactivated: meta.deactivated, keys, error};
  } catch(error) {
    return {versionId: null, deactivated: false, keys: [], error: String(error)};
  }
}

async function write({host, seeds, key, end}) {
  const signers = seeds.map(signerOf);
  const hashes = await Promise.all(signers.map(({multikey}) => deriveNextKeyHash(multikey)));
  const verificationMethods = [{type: 'Multikey', publicKeyMultibase: key, purpose: 'assertionMethod'}];
  const common = at => ({
    signer: signers[at], updateKeys: [signers[at].multikey], verificationMethods, verifier
  });
  let made = await createDID({
    ...common(0), domain: host, nextKeyHashes: [hashes[1]], created: TIMES[0], portable: false
  });
  for(const at of [1, 2]) {
    const nextKeyHashes = end && at === 2 ? [] : [hashes[at + 1]];
    made = await updateDID({...common(at), log: made.log, nextKeyHashes, updated: TIMES[at]});
  }
  if(end) {
    made = await deactivateDID({log: made.log, signer: signers[2], verifier});
  }
  return {did: made.did, log: made.log.map(entry => `${JSON.stringify(entry)}\n`).join('')};
}

const job = await readJob();
process.stdout.write(JSON.stringify(await (job.do === 'read' ? read(job) : write(job))));
