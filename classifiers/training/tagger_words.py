"""Words that templates are filled with, by language: streets, forms of companies, jobs, peoples, months. Data only."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final


def _lists(**rows: str) -> MappingProxyType[str, tuple[str, ...]]:
    return MappingProxyType({key: _parts(row) for key, row in rows.items()})


def _parts(row: str, separator: str | None = "|") -> tuple[str, ...]:
    return tuple(part.strip() for part in row.split(separator))


# `#` is a person's or another word; `^` puts it in lower case.
STREETS: Final = _lists(
    en="# Street|# Road|# Avenue|# Lane|# Drive|# St|# St.|# Rd|# Ave|# Court|# Place|# Boulevard|# Blvd|# Way|# Close|"
    "# Crescent|# Terrace|High Street|Station Road|Church Lane|North # Street|# Square|# Park|# Gardens|# Hill|# Grove|"
    "12th Street|5th Avenue|Highway 61|County Road 7|# Plaza|# Trail",
    de="#straße|#strasse|#str.|#weg|#platz|#allee|#gasse|Am #|An der #|Bahnhofstraße|Hauptstraße|Gartenweg|Lindenallee|"
    "#-Straße|#er Straße|#ring|#ufer|#damm|Im #feld|Zum #|Schulstraße|Alte #|Dorfstr.|Kirchplatz|#steig|#hof",
    fr="rue #|rue de #|rue de la #|rue du #|avenue #|avenue de #|boulevard #|place #|chemin de #|impasse #|allée #|"
    "quai #|Rue #|Avenue #|Boulevard #|Place de la #|cours #|route de #|rue de la Gare|rue des Lilas|square #",
    es="calle #|Calle #|C/ #|Avenida #|Avda. #|Plaza #|Paseo de #|Camino de #|calle de la #|Calle Mayor|Gran Vía|"
    "Carretera de #|Ronda de #|Av. #|Travesía #|calle del #|Rambla #|Jirón #|Carrera 7|Pasaje #",
    it="via #|Via #|viale #|Viale #|piazza #|Piazza #|corso #|Corso #|vicolo #|largo #|via Roma|via Garibaldi|"
    "via della #|Strada #|Lungarno #|Contrada #|piazzale #|via dei #",
    nl="#straat|#laan|#weg|#plein|#kade|#gracht|#singel|#dreef|#hof|Kerkstraat|Dorpsstraat|#pad|Burgemeester #laan|"
    "Van #straat|#dijk|#markt|Lange #straat|#steenweg|Prins #straat|#park|Grote #straat",
    nordic="#gatan|#vägen|#vej|#gade|#gata|#veien|#katu|#tie|Stora #|Store #|#gränd|#allé|#stræti|#vegur|Kungsgatan",
    slavic="ul. #|ulica #|ul. #a|#ova|# utca|# út|#ova ulice|al. #|pl. #|nám. #|# tér|str. #|Strada #|ulice #|bul. #",
    pt="Rua #|Avenida #|Travessa #|Rua da #|Praça #|Rua do #|Largo #|Av. #|Alameda #|R. #",
    india="# Road|# Nagar|# Marg|Sector 12, #|# Colony|MG Road|# Street|Jalan #|Jl. #|# Cad.|# Sokak|# Layout",
)
COMPANY_FORMS: Final = _lists(
    en="Ltd|Ltd.|Inc|Inc.|LLC|PLC|Corp|Corp.|Corporation|Group|Company|& Co|Holdings|Partners|Pty Ltd|LLP|"
    "Limited|Solutions",
    de="GmbH|AG|GmbH & Co. KG|KG|e.V.|OHG|SE|UG|eG|Gruppe|Holding|Werke",
    fr="SA|SARL|SAS|S.A.|et Fils|S.A.S.|Groupe|SNC|& Cie",
    es="S.A.|S.L.|SL|SA|e Hijos|S.A. de C.V.|Hermanos|Grupo|SLU",
    it="S.p.A.|S.r.l.|srl|SpA|e Figli|Group|S.n.c.|& C.",
    nl="B.V.|BV|N.V.|NV|VOF|Groep|en Zonen|Holding|Stichting",
)
COMPANY_WORDS: Final = _parts(
    """
    blue green north south west east river mountain summit pioneer global united first prime apex vertex delta alpha
    omega nova star sun moon cloud data soft net tech digital cyber smart bright clear swift rapid solid iron steel
    gold silver copper stone oak pine cedar maple willow harbor ocean pacific atlantic baltic alpine arctic desert
    valley forest meadow garden rose lily eagle falcon hawk lion tiger wolf bear fox horizon sky storm wind fire
    water energy power light health care med bio gene pharma life food fresh farm harvest home house build bridge
    road rail air sea land trade market capital credit trust bank finance fund invest insurance legal media press
    print design studio art music game play sport travel tour hotel learn school book paper logic mind think vision
    insight metric signal wave pulse spark ignite fusion quantum atomic core link connect mesh grid hub point peak
    base factory works mill forge craft tool gear motor drive auto cycle freight cargo ship port gate door key lock
    safe
    """,
    None,
)
KNOWN_COMPANIES: Final = _parts(
    """
    Microsoft|Google|Apple|Amazon|Facebook|Meta|IBM|Oracle|SAP|Siemens|Bosch|BMW|Volkswagen|Daimler|
    Deutsche Bank|Bayer|BASF|Allianz|Lufthansa|Deutsche Telekom|Nestlé|Novartis|Roche|UBS|Renault|
    Peugeot|Airbus|Total|BNP Paribas|L'Oréal|Carrefour|Danone|Santander|BBVA|Telefónica|Iberdrola|
    Inditex|Zara|Fiat|Ferrari|Eni|Enel|Generali|Philips|Shell|ING|Heineken|Unilever|KLM|IKEA|Volvo|
    Ericsson|Nokia|Maersk|Samsung|LG|Hyundai|Toyota|Honda|Sony|Panasonic|Nintendo|Huawei|Tencent|
    Alibaba|Tata|Infosys|Reliance|Walmart|Target|Costco|Boeing|Ford|General Motors|General Electric|
    Tesla|Intel|Nvidia|Cisco|Dell|HP|Netflix|Disney|Uber|Airbnb|Twitter|LinkedIn|PayPal|Visa|
    Mastercard|JPMorgan Chase|Goldman Sachs|Citigroup|Bank of America|Wells Fargo|HSBC|Barclays|Lloyds|
    Vodafone|BT|BBC|CNN|Reuters|NASA|FBI|NHS|United Nations|UNICEF|WHO|European Commission|Red Cross|
    Greenpeace|Harvard|Stanford|MIT|Oxford University|Pfizer|Johnson & Johnson|Procter & Gamble|Coca-Cola|
    PepsiCo|McDonald's|Starbucks|Nike|Adidas|FedEx|UPS|DHL|Accenture|Deloitte|KPMG|PwC|Ernst & Young|
    McKinsey|Salesforce|Adobe|Spotify|Zalando|Ryanair|easyJet|Tesco|Sainsbury's|Aldi|Lidl
    """
)
INSTITUTES: Final = _lists(
    en="University of #|# University|# College|# High School|# General Hospital|Bank of #|# City Council|# Hospital|"
    "# Medical Center|# Clinic|# Institute of Technology|# Police Department|St. Mary's Hospital|# Chamber of Commerce|"
    "Department of *|Ministry of *|# Football Club|# Airport|The * Foundation|# Times|# Bank|First * Bank|# School",
    de="Universität #|Klinikum #|Sparkasse #|Volksbank #|Stadtwerke #|Amtsgericht #|Gymnasium #|TU #|Hochschule #|"
    "Krankenhaus #|Finanzamt #|FC #|Praxis Dr. #|Landratsamt #|Autohaus #|Bäckerei #|Charité|Technische Universität #",
    fr="Université de #|Hôpital de #|CHU de #|Mairie de #|Lycée #|Clinique #|Crédit *|Banque de #|Collège #|AS #|"
    "Boulangerie #|Cabinet #|Institut #|Préfecture de #|Garage #|Hôpital Saint-Antoine",
    es="Universidad de #|Hospital de #|Ayuntamiento de #|Banco de #|Instituto #|Clínica #|Real #|Colegio #|Caja #|"
    "Universidad Nacional de #|Bar #|Talleres #|Hospital San Juan|Juzgado de #",
    it="Università di #|Ospedale di #|Comune di #|Banca di #|Liceo #|Clinica #|Politecnico di #|Trattoria #|"
    "Tribunale di #|"
    "Istituto #|Studio #|Officina #|Ospedale San Raffaele|Farmacia #",
    nl="Universiteit #|Ziekenhuis #|Gemeente #|# Medisch Centrum|Hogeschool #|Bakkerij #|Rabobank #|FC #|Praktijk #|"
    "Rechtbank #|Basisschool #|TU #|Garage #|Woningstichting #",
)
JOBS: Final = _lists(
    en="nurse|accountant|software engineer|Sales Manager|Head of Marketing|teacher|plumber|CEO|Chief Financial Officer|"
    "Project Manager|data scientist|Senior Consultant|lawyer|dentist|HR Business Partner|driver|chef|Account Executive|"
    "professor|spokesperson|director|Customer Support Specialist|architect|electrician|Vice President of Operations",
    de="Geschäftsführer|Vertriebsleiterin|Ingenieur|Krankenschwester|Lehrer|Buchhalterin|Projektleiter|"
    "Sachbearbeiterin|"
    "Entwickler|Rechtsanwalt|Elektriker|Leiterin Personal|Assistentin|Koch|Fahrer|Abteilungsleiter",
    fr="directeur commercial|infirmière|comptable|ingénieur|Chef de projet|avocate|professeur|Responsable RH|chauffeur|"
    "développeur|Directrice générale|électricien|secrétaire|vendeuse",
    es="director comercial|enfermera|contable|ingeniero|Jefe de proyecto|abogada|profesor|"
    "Responsable de RR. HH.|conductor|"
    "programador|Directora general|electricista|camarero|administrativa",
    it="direttore commerciale|infermiera|contabile|ingegnere|Responsabile vendite|avvocato|insegnante|autista|"
    "Amministratore delegato|elettricista|segretaria|cuoco|sviluppatore|Capo progetto",
    nl="verkoopleider|verpleegkundige|boekhouder|ingenieur|Projectleider|advocaat|leraar|chauffeur|ontwikkelaar|"
    "Algemeen directeur|elektricien|secretaresse|kok|Hoofd personeelszaken|adviseur",
)
TITLES: Final = _lists(
    en="Mr.|Mrs.|Ms.|Dr.|Mr|Mrs|Ms|Dr|Miss|Prof.|Professor|Sir",
    de="Herr|Frau|Dr.|Herr Dr.|Frau Dr.|Prof. Dr.",
    fr="M.|Mme|Monsieur|Madame|Mlle|Dr|Maître",
    es="Sr.|Sra.|Don|Doña|D.|Dr.|señor|señora",
    it="sig.|sig.ra|Signor|Signora|dott.|dott.ssa|Avv.|Ing.",
    nl="dhr.|mevr.|meneer|mevrouw|de heer|dr.|drs.",
)
NATIONS: Final = _lists(
    en="German|French|Italian|Spanish|Dutch|British|American|Canadian|Mexican|Brazilian|Chinese|Japanese|Korean|Indian|"
    "Pakistani|Nigerian|Ghanaian|Egyptian|Moroccan|Turkish|Russian|Ukrainian|Polish|Czech|Hungarian|Romanian|Greek|"
    "Swedish|Norwegian|Danish|Finnish|Irish|Scottish|Welsh|Austrian|Swiss|Belgian|Portuguese|Argentinian|Chilean|"
    "Colombian|Peruvian|Cuban|Australian|New Zealander|South African|Kenyan|Ethiopian|Iranian|Iraqi|Syrian|Lebanese|"
    "Israeli|Saudi|Afghan|Thai|Vietnamese|Filipino|Indonesian|Malaysian|Mongolian|Nepalese|Muslim|Jewish|Christian|"
    "Catholic|Protestant|Hindu|Buddhist|Sikh|Jehovah's Witness|atheist|Republican|Democrat|socialist|"
    "communist|Orthodox|"
    "Kurdish|Palestinian|Serbian|Croatian|Bulgarian|Albanian|Estonian|Latvian|Lithuanian|Hispanic|Latino|Asian|African",
    de="deutsch|Deutscher|Deutsche|Franzose|französisch|Italiener|italienisch|Spanier|Pole|polnisch|Türkin|"
    "türkisch|Russe|"
    "russisch|Ukrainerin|ukrainisch|Österreicher|österreichisch|Schweizer|Syrer|syrisch|Grieche|griechisch|Muslim|"
    "Muslimin|Jude|jüdisch|katholisch|evangelisch|Katholik|Buddhist|Kurde|kurdisch|chinesisch|Chinese|Japaner|Inder",
    fr="français|française|allemand|allemande|italien|italienne|espagnol|espagnole|belge|suisse|marocain|marocaine|"
    "algérien|algérienne|tunisien|sénégalais|turc|turque|russe|polonais|ukrainienne|chinois|musulman|musulmane|juif|"
    "juive|catholique|protestant|bouddhiste|américain|anglais|portugaise|libanais|syrienne",
    es="español|española|francés|francesa|alemán|alemana|italiano|italiana|mexicano|mexicana|argentino|argentina|"
    "colombiana|peruano|chilena|venezolano|cubano|marroquí|rumano|rumana|chino|ruso|ucraniana|musulmán|musulmana|judío|"
    "católica|católico|evangélico|budista|inglés|estadounidense|portuguesa",
    it="italiano|italiana|francese|tedesco|tedesca|spagnola|inglese|americano|rumeno|rumena|albanese|marocchino|cinese|"
    "russo|russa|ucraino|ucraina|polacca|svizzero|musulmano|musulmana|ebreo|ebrea|cattolico|cattolica|"
    "buddista|tunisino|"
    "egiziano|brasiliana|peruviano|filippina",
    nl="Nederlands|Nederlander|Nederlandse|Belg|Belgisch|Duits|Duitser|Frans|Italiaans|Spaanse|Turks|Turkse|Marokkaans|"
    "Marokkaanse|Pools|Poolse|Syrisch|Oekraïens|Russisch|Chinees|Surinaams|Engels|moslim|joods|katholiek|protestants|"
    "boeddhist|Amerikaan|Indonesische|Portugees|Griek",
)
MONTHS: Final = _lists(
    en="January|February|March|April|May|June|July|August|September|October|November|December",
    de="Januar|Februar|März|April|Mai|Juni|Juli|August|September|Oktober|November|Dezember",
    fr="janvier|février|mars|avril|mai|juin|juillet|août|septembre|octobre|novembre|décembre",
    es="enero|febrero|marzo|abril|mayo|junio|julio|agosto|septiembre|octubre|noviembre|diciembre",
    it="gennaio|febbraio|marzo|aprile|maggio|giugno|luglio|agosto|settembre|ottobre|novembre|dicembre",
    nl="januari|februari|maart|april|mei|juni|juli|augustus|september|oktober|november|december",
)
WEEKDAYS: Final = _lists(
    en="Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday",
    de="Montag|Dienstag|Mittwoch|Donnerstag|Freitag|Samstag|Sonntag",
    fr="lundi|mardi|mercredi|jeudi|vendredi|samedi|dimanche",
    es="lunes|martes|miércoles|jueves|viernes|sábado|domingo",
    it="lunedì|martedì|mercoledì|giovedì|venerdì|sabato|domenica",
    nl="maandag|dinsdag|woensdag|donderdag|vrijdag|zaterdag|zondag",
)
# People whom everybody may ask about: their names in questions are no findings.
FAMOUS: Final = _parts(
    """
    Newton|Isaac Newton|Einstein|Albert Einstein|Darwin|Charles Darwin|Shakespeare|William Shakespeare|Kant|
    Immanuel Kant|Plato|Aristotle|Socrates|Hume|David Hume|Descartes|René Descartes|Hegel|Nietzsche|Marx|
    Karl Marx|Freud|Sigmund Freud|Piaget|Skinner|Pavlov|Maslow|Jung|Galileo|Kepler|Copernicus|
    Marie Curie|Pasteur|Mendel|Faraday|Maxwell|Bohr|Heisenberg|Schrödinger|Fermi|Hawking|Turing|
    Alan Turing|Gauss|Euler|Fermat|Pascal|Leibniz|Riemann|Hilbert|Gödel|Bayes|Laplace|Fourier|Cauchy|
    Dijkstra|Knuth|Napoleon|Julius Caesar|Caesar|Cleopatra|Alexander the Great|Lincoln|Abraham Lincoln|
    George Washington|Thomas Jefferson|Roosevelt|Churchill|Winston Churchill|Gandhi|Mandela|Nelson Mandela|
    Martin Luther King|Hitler|Stalin|Lenin|Mao|Kennedy|Reagan|Thatcher|Obama|Barack Obama|Trump|Merkel|
    Mozart|Beethoven|Bach|Vivaldi|Verdi|Picasso|Rembrandt|Vincent van Gogh|Monet|Leonardo da Vinci|
    Michelangelo|Dickens|Jane Austen|Tolstoy|Dostoevsky|Goethe|Schiller|Kafka|Orwell|George Orwell|
    Hemingway|Mark Twain|Homer|Dante|Cervantes|Molière|Victor Hugo|Voltaire|Rousseau|Locke|John Locke|
    Hobbes|Adam Smith|Keynes|Friedman|Rawls|Mill|Bentham|Confucius|Buddha|Jesus|Muhammad|Steve Jobs|
    Bill Gates|Elon Musk|Taylor Swift|Beyoncé|Elvis Presley|Michael Jackson|Madonna|Chomsky|Wittgenstein|
    Russell|Sartre|Camus|Foucault|Machiavelli|Cicero|Augustine|Thomas Aquinas|Tesla|Edison|Ford
    """
)
