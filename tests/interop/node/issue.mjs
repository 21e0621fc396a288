// Issues one credential.
//
//   stdin   {"format": "vc+jwt" | "eddsa-rdfc-2022" | "eddsa-jcs-2022", "credential": {…}, "seed": "<64 hex digits>",
//            "verificationMethod": "did:…#…", "contexts": {"<url>": {…}}, "created": "2026-01-01T00:00:00Z"}
//   stdout  the signed credential: JSON, or a compact JWS
//
// `contexts` and `created` may be missing. Fails with a message on stderr.
import * as Ed25519Multikey from '@digitalbazaar/ed25519-multikey';
import * as jose from 'jose';
import * as vc from '@digitalbazaar/vc';
import {cryptosuiteOf, readJob} from './job.mjs';
import {DataIntegrityProof} from '@digitalbazaar/data-integrity';
import {offlineLoader} from './contexts.mjs';

async function issueDataIntegrity(job, cryptosuite, key) {
  const suite = new DataIntegrityProof({signer: key.signer(), cryptosuite, date: job.created});
  const credential = await vc.issue({
    credential: job.credential, suite, documentLoader: offlineLoader(job), now: job.created
  });
  return JSON.stringify(credential);
}

async function issueJwt(job, key) {
  const jwk = await Ed25519Multikey.toJwk({keyPair: key, secretKey: true});
  jwk.d = Buffer.from(job.seed, 'hex').toString('base64url');   // the package writes seed and public key
  const payload = new TextEncoder().encode(JSON.stringify(job.credential));
  return new jose.CompactSign(payload)
    .setProtectedHeader({alg: 'EdDSA', typ: 'vc+jwt', cty: 'vc', kid: job.verificationMethod})
    .sign(await jose.importJWK(jwk, 'EdDSA'));
}

const job = await readJob();
const key = await Ed25519Multikey.generate({
  id: job.verificationMethod,
  controller: job.verificationMethod.split('#')[0],
  seed: Uint8Array.from(Buffer.from(job.seed, 'hex'))
});
const cryptosuite = cryptosuiteOf(job, 'sign');
process.stdout.write(cryptosuite ? await issueDataIntegrity(job, cryptosuite, key) : await issueJwt(job, key));
