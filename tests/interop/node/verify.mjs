// Verifies one credential: its signature, that its issuer controls the key, that the key may assert, and its validity window.
// Status is not looked at.
//
//   stdin   {"format": "vc+jwt" | "eddsa-rdfc-2022" | "eddsa-jcs-2022", "credential": {…} | "<compact JWS>",
//            "didDocument": {…}, "contexts": {"<url>": {…}}, "now": "2026-01-01T00:00:00Z"}
//   stdout  {"verified": true, "error": null} or {"verified": false, "error": "…"}
//
// `contexts` and `now` may be missing. A job that cannot be read fails with a message on stderr.
import * as Ed25519Multikey from '@digitalbazaar/ed25519-multikey';
import * as jose from 'jose';
import * as vc from '@digitalbazaar/vc';
import {cryptosuiteOf, readJob} from './job.mjs';
import {methodOf, offlineLoader} from './contexts.mjs';
import {DataIntegrityProof} from '@digitalbazaar/data-integrity';

async function verifyDataIntegrity(job, cryptosuite) {
  const result = await vc.verifyCredential({
    credential: job.credential,
    suite: new DataIntegrityProof({cryptosuite}),
    documentLoader: offlineLoader(job),
    checkStatus: async () => ({verified: true}),
    now: job.now
  });
  if(!result.verified) {
    throw result.error ?? new Error('not verified, and no reason given');
  }
}

async function verifyJwt(job) {
  const {didDocument} = job;
  const {kid} = jose.decodeProtectedHeader(job.credential);
  const method = methodOf(didDocument, kid);
  if(method === undefined || method.controller !== didDocument.id || !didDocument.assertionMethod?.includes(kid)) {
    throw new Error(`the DID document has no key ${kid} that may assert`);
  }
  const jwk = await Ed25519Multikey.toJwk({keyPair: await Ed25519Multikey.from({...method, '@context': undefined})});
  const verified = await jose.compactVerify(
    job.credential, await jose.importJWK(jwk, 'EdDSA'), {algorithms: ['EdDSA', 'Ed25519']});
  if(verified.protectedHeader.typ !== 'vc+jwt') {
    throw new Error(`expected typ vc+jwt, got ${verified.protectedHeader.typ}`);
  }
  const credential = JSON.parse(new TextDecoder('utf-8', {fatal: true}).decode(verified.payload));
  const issuer = credential.issuer?.id ?? credential.issuer;
  if(issuer !== didDocument.id) {
    throw new Error(`the issuer ${issuer} is not ${didDocument.id}`);
  }
  const now = job.now === undefined ? Date.now() : Date.parse(job.now);
  if(now < Date.parse(credential.validFrom) || now >= Date.parse(credential.validUntil)) {
    throw new Error('outside the window of validFrom and validUntil');
  }
}

/** The innermost messages: these libraries wrap the reason in "Verification error(s).". */
function reasons(error) {
  const inner = [error?.errors, error?.cause].flat().filter(Boolean);
  return inner.length > 0 ? inner.flatMap(reasons) : [String(error?.message ?? error)];
}

const job = await readJob();
const cryptosuite = cryptosuiteOf(job, 'verify');
try {
  await (cryptosuite ? verifyDataIntegrity(job, cryptosuite) : verifyJwt(job));
  process.stdout.write(JSON.stringify({verified: true, error: null}));
} catch(error) {
  process.stdout.write(JSON.stringify({verified: false, error: reasons(error).join('; ')}));
}
