// One JSON job on stdin, one answer on stdout.
import * as jcs from '@digitalbazaar/eddsa-jcs-2022-cryptosuite';
import {cryptosuite as rdfc} from '@digitalbazaar/eddsa-rdfc-2022-cryptosuite';

/** Data Integrity suites by name: one object to sign with, one to verify with. */
const CRYPTOSUITES = {
  'eddsa-jcs-2022': {sign: jcs.createSignCryptosuite(), verify: jcs.createVerifyCryptosuite()},
  'eddsa-rdfc-2022': {sign: rdfc, verify: rdfc}
};

/** The suite that a job names, or undefined for vc+jwt. */
export function cryptosuiteOf({format}, use) {
  if(format === 'vc+jwt') {
    return undefined;
  }
  if(!Object.hasOwn(CRYPTOSUITES, format)) {
    throw new Error(`unknown format ${format}: expected vc+jwt, ${Object.keys(CRYPTOSUITES).join(' or ')}`);
  }
  return CRYPTOSUITES[format][use];
}

export async function readJob() {
  const chunks = [];
  for await (const chunk of process.stdin) {
    chunks.push(chunk);
  }
  return JSON.parse(Buffer.concat(chunks).toString('utf8'));
}
