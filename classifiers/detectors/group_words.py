"""Words for peoples, religions and political groups in the six measured languages, as beginnings and their endings.

Expressions without context; `groups` says when such a word is said of somebody. An underscore stands for a blank.
"""

from __future__ import annotations

from typing import Final

_RELIGIONS: Final = r"""
    muslim(?:s|e|a|as|os|i|in|innen)? moslims? musulm[aá]n\w{0,3} islamic islamisch\w{0,2} catholics?
    cat[oó]lic[oa]s? catholiques? cattolic\w{1,2} katholi\w{1,4} protestant\w{0,4} evangelisch\w{0,2}
    evang[eé]lic\w{1,3} [eé]vang[eé]liques? jewish jews? jude[n]? j[üu]din(?:nen)? j[üu]disch\w{0,2}
    jui(?:fs?|ves?) jud[ií][oa]s? ebre[oaie] jood(?:s|se)? joden hindus? hindou\w{0,2} buddhist\w{0,5}
    bouddhistes? budist\w{1,2} buddist\w boeddhist\w{0,2} sikhs? mormon\w{0,3} atheist\w{0,5} athe[ïi]st\w{0,3}
    ath[ée]es? ate[oa]s? agnosti\w{1,4} christians christlich\w{0,2} chr[ée]tien\w{0,3} cristian[oaie]s?
    christelijke? lutherans? lutherisch\w{0,2} anglicans? methodists? baptists? quakers? orthodox\w{0,2}
    ortodoss\w ortodox[oa]s? sunnis? sunnit\w{0,3} shi(?:a|ite)s? schiit\w{0,3} alevi\w{0,4} druzes? yazidis?
    jesid\w{0,4} hervormd gereformeerd jehovah'?s_witness(?:es)? zeug(?:en?|in)_jehovas t[ée]moins?_de_j[ée]hovah
"""
_POLITICS: Final = r"""
    republicans? democrats? socialist\w{0,2} socialistes? sozialist\w{0,5} sozialdemokrat\w{0,5} communistes?
    communists? kommunist\w{0,5} comunist\w{1,2} fascist\w{0,2} faschist\w{0,5} anarchist\w{0,5} libertarians?
    marxist\w{0,5} conservatives gaullistes? [ée]cologistes? leghist\w tory tories labour_party green_party
    conservative_party republican_party democratic_party die_gr[üu]nen den_gr[üu]nen die_linke der_linken
    cdu(?:-\w{1,9})? csu spd(?:-\w{1,9})? afd fdp psoe podemos partido_popular parti_socialiste
    rassemblement_national partito_democratico fratelli_d'italia lega_nord vvd pvv pvda groenlinks d66
"""
_PEOPLES: Final = r"""
    afghans? albanians? algerians? americans? argentinians? armenians? australians? austrians? bangladeshis?
    belgians? bosnians? brazilians? british bulgarians? cambodians? cameroonians? canadians? chileans? chinese
    colombians? congolese croatians? cubans? czechs? danish danes? dutch ecuadorians? egyptians? english
    eritreans? estonians? ethiopians? filipin[oa]s? finnish finns? french georgians? germans? ghanaians? greeks?
    haitians? hungarians? icelandic indians? indonesians? iranians? iraqis? irish israelis? italians? jamaicans?
    japanese jordanians? kenyans? koreans? kurds? kurdish lebanese libyans? lithuanians? latvians? malaysians?
    mexicans? moldovans? moroccans? nepalis? nepalese nigerians? norwegians? pakistanis? palestinians? persians?
    peruvians? polish portuguese roma romanians? russians? rwandans? saudis? scottish senegalese serbs?
    serbians? sinti slovaks? slovenes? somalis? south_africans? spanish spaniards? sri_lankans? sudanese swedes?
    swedish swiss syrians? taiwanese tamils? thai tunisians? turks? turkish ugandans? ukrainians? uyghurs?
    venezuelans? vietnamese welsh yemenis? afghan(?:e|en|in|isch\w{0,2}) albaner\w{0,5} alban(?:isch)\w{0,2}
    amerikan\w{2,6} arab(?:er|isch)\w{0,5} bulgar(?:e|en|in|isch\w{0,2}) chines(?:e|en|in|isch\w{0,2}) däne?n?
    dänisch\w{0,2} franzos\w{1,4} französ\w{2,6} grieche?n? griechi(?:n|sch)\w{0,4} iraker\w{0,5} iraner\w{0,5}
    italiener\w{0,5} italienisch\w{0,2} kroat\w{1,7} kurd(?:e|en|in|isch\w{0,2}) marokkan\w{2,6} nigerianer\w{0,5}
    österreicher\w{0,5} polin(?:nen)? polnisch\w{0,2} rumän\w{1,6} russ(?:e|en|in|isch\w{0,2})
    schweizer\w{0,5} serb(?:e|en|in|isch\w{0,2}) spanier\w{0,5} spanisch\w{0,2} syr(?:er|isch)\w{0,5}
    türk(?:e|en|in|innen|isch\w{0,2}) ukrain(?:er|isch)\w{0,5} ungar(?:n|in|isch\w{0,2})? vietnames\w{1,6}
    afghane?s? albanaise?s? alg[ée]rien\w{0,3} allemande?s? am[ée]ricaine?s? anglaise?s? arabes? belges?
    br[ée]silien\w{0,3} chinoise?s? espagnole?s? grec(?:que)?s? irakien\w{0,3} iranien\w{0,3} italien(?:ne)?s?
    kurdes? marocaine?s? polonaise?s? portugaise?s? roumaine?s? russes? s[ée]n[ée]galaise?s? suisses?
    syrien(?:ne)?s? tunisien\w{0,3} tur(?:c|cs|que|ques) ukrainien\w{0,3} français\w{0,2} afgan[oaie]s?
    alban[eé]s\w{0,2} alem[aá]n\w{0,2} algerin[oaie] argelin[oa]s? argentin[oaie]s? [aá]rab[eoai]s?
    brasile[ñn]\w{1,2} brasilian[oaie] chin[oa]s? cinesi?e? colombian[oaie]s? cuban[oaie]s? ecuatorian[oa]s?
    egipci[oa]s? egizian[oaie] frances[ae]?s? francesi grieg[oa]s? grec[oaie] ingles[ae]?s? inglesi
    italian[oaie]s? marroqu[ií]\w{0,2} marocchin[oaie] mexican[oa]s? messican[oaie] nigerian[oaie]s?
    peruan[oaie]s? polac[oa]s? polacc[oaie] polacchi portugues\w{0,2} portoghes[ei] ruman[oa]s? rumen[oaie]
    rus[oa]s? russ[oaie] senegales[aei]?s? siri[oa]s? sirian[oaie] spagnol[oaie] tedesc(?:o|a|hi|he) tunecin[oa]s?
    tunisin[oaie] turc[oa]s? turc(?:o|a|hi|he) ucranian[oa]s? ucrain[oaie] venezolan[oa]s? ecuadorian[oaie]
    afghaanse? albane(?:es|se|zen) algerijnse? amerikaan(?:se?)? arabi(?:er|sch)\w{0,2} chine(?:es|se|zen)
    duitse?r?s? franse? griekse? iraakse? iraanse? italiaanse? koerd(?:en|isch\w{0,2})? marokkaanse?
    marokkan(?:en)? nigeriaanse? oekra[ïi]ense? poolse? portuge(?:es|se|zen) roemeense? russisch\w{0,2} spaanse?
    surinaamse? surinamer\w{0,2} syri(?:er|sch)\w{0,2} syriërs? turkse? turken
"""


def _any_of(*words: str) -> str:
    return "|".join(word.replace("_", " ") for line in words for word in line.split())


# Religions and politics are said of people; peoples are also said of food, art and languages.
BELIEFS: Final = _any_of(_RELIGIONS, _POLITICS)
PEOPLES: Final = _any_of(_PEOPLES)
