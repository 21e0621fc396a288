// What the scripts may load: contexts that come with the npm packages, the ones that a job brings, and the job's DID document.
// Nothing is ever fetched.
import {contexts as credentialContexts} from '@digitalbazaar/credentials-context';
import jsigs from 'jsonld-signatures';

const DID_V1 = 'https://www.w3.org/ns/did/v1';
const MULTIKEY_V1 = 'https://w3id.org/security/multikey/v1';

/** A JSON-LD document loader over `contexts` {url: document} and one DID document; a built-in context is never overridden. */
export function offlineLoader({contexts = {}, didDocument} = {}) {
  return jsigs.extendContextLoader(async url => {
    const document = credentialContexts.get(url) ?? own(contexts, url) ?? fromDidDocument(didDocument, url);
    if(document === undefined) {
      throw new Error(`not among the built-in and the given documents: ${url}`);
    }
    return {contextUrl: null, documentUrl: url, document};
  });
}

/** The verification method with this id, or undefined. */
export function methodOf(didDocument, id) {
  return didDocument?.verificationMethod?.find(method => method.id === id);
}

function fromDidDocument(didDocument, url) {
  if(didDocument?.id === url) {
    // The libraries take a document whose only context is this one as it stands, without framing.
    return {...didDocument, '@context': DID_V1};
  }
  const method = methodOf(didDocument, url);
  return method && {...method, '@context': MULTIKEY_V1};
}

function own(object, name) {
  return Object.hasOwn(object, name) ? object[name] : undefined;
}
