"""Which entity types each shipped detector can report, so that a policy is read without building any of them.

A process that only reads policies would take 12 MB for their expressions and tables. A test holds this to the classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from classifiers.vocabulary import MEANINGS

ENTITIES: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "email": frozenset({"EMAIL_ADDRESS"}),
        "phone": frozenset({"PHONE_NUMBER"}),
        "card": frozenset({"CREDIT_CARD"}),
        "iban": frozenset({"IBAN_CODE"}),
        "ip": frozenset({"IP_ADDRESS"}),
        "national_id": frozenset(
            """
                AR_DNI AT_VNR AU_TFN BE_NN BG_EGN BR_CPF CA_SIN CH_AHV CL_RUT CN_RIC
                CZ_SK_BIRTH_NUMBER DE_TAX_ID DK_CPR DO_CEDULA EC_CI EE_IK ES_NIE ES_NIF
                FI_PERSONAL_IDENTITY_CODE FR_NIR GR_AMKA HR_OIB ID_NIK IE_PPS IL_ID IN_AADHAAR
                IN_PAN IN_VOTER IS_KENNITALA IT_FISCAL_CODE JP_MY_NUMBER KE_PIN KR_RRN LT_ASMENS
                MX_CURP MX_RFC MY_NRIC NL_BSN NO_FODSELSNUMMER NZ_IRD PE_DNI PK_CNIC PL_PESEL PT_CC
                PT_NIF RO_CNP SE_PERSONNUMMER SG_NRIC_FIN SI_EMSO TH_PIN TR_NATIONAL_ID UA_RNTRC
                UK_NINO UK_UTR US_ITIN US_SSN ZA_ID_NUMBER
            """.split()  # noqa: SIM905  # a list of words reads better as words
        ),
        "health_id": frozenset(
            """
                AU_MEDICARE CA_HEALTH_NUMBER DE_KVNR HEALTH_INSURANCE_NUMBER MEDICAL_LICENSE
                MEDICAL_RECORD_NUMBER UK_NHS US_MBI US_NPI
            """.split()  # noqa: SIM905  # a list of words reads better as words
        ),
        "papers": frozenset(
            """
                DRIVER_LICENSE PASSPORT UK_DRIVER_LICENSE US_DRIVER_LICENSE US_PASSPORT
            """.split()  # noqa: SIM905  # a list of words reads better as words
        ),
        "accounts": frozenset({"ABA_ROUTING_NUMBER", "BANK_ACCOUNT", "US_BANK_NUMBER"}),
        "devices": frozenset({"IMEI", "MAC_ADDRESS", "VIN"}),
        "crypto": frozenset({"CRYPTO", "SECRET"}),
        "secret_rules": frozenset({"SECRET"}),
        "passwords": frozenset({"SECRET"}),
        "tokens": frozenset({"SECRET"}),
        "private_keys": frozenset({"SECRET"}),
        "language": frozenset(),
        "names": frozenset(
            """
                AGE DATE_OF_BIRTH DATE_TIME LOCATION NRP ORGANIZATION PERSON STREET_ADDRESS
            """.split()  # noqa: SIM905  # a list of words reads better as words
        ),
        "groups": frozenset({"NRP"}),
        "meaning": MEANINGS,
    }
)
