"""Signs and verifies cards with the official Python SDK: `python a2a_sdk_signing.py '[{"do": "sign", …}, …]'`.

Prints a JSON list: of a `sign` the signed card, of a `verify` whether it verifies.
"""

# pyright: basic, reportMissingImports=false, reportMissingModuleSource=false, reportAttributeAccessIssue=false

from __future__ import annotations

import json
import sys

from a2a.types import AgentCard
from a2a.utils.signing import SignatureVerificationError, create_agent_card_signer, create_signature_verifier
from google.protobuf.json_format import MessageToDict, ParseDict
from jwt import PyJWK


def sign(job):
    header = {"kid": job["kid"], "alg": job["alg"], "typ": "JOSE", "jku": None}
    signer = create_agent_card_signer(job["pem"], {name: value for name, value in header.items() if value})
    return MessageToDict(signer(read(job)))


def verify(job):
    keys = {key["kid"]: PyJWK(key) for key in job["keys"]}
    try:
        create_signature_verifier(lambda kid, jku: keys[kid], ["ES256", "RS256", "EdDSA"])(read(job))
    except SignatureVerificationError:
        return False
    return True


def read(job):
    return ParseDict(job["card"], AgentCard(), ignore_unknown_fields=True)


print(json.dumps([{"sign": sign, "verify": verify}[job["do"]](job) for job in json.loads(sys.argv[1])]))
