"""The sentences that identifiers stand in, in six languages, and the names that ids go by. `{}` is the identifier."""

from __future__ import annotations

LANGUAGES = ("en", "de", "fr", "es", "it", "nl")

FRAMES: dict[str, dict[str, tuple[str, ...]]] = {
    "card": {
        "en": (
            "Please charge {} for the order.",
            "My card number is {} and it expires next May.",
            "{}",
            "The customer paid with {}; can you refund it?",
        ),
        "de": ("Bitte belasten Sie die Karte {}.", "Meine Kreditkarte {} wurde abgelehnt.", "Kartennummer: {}"),
        "fr": ("Ma carte {} a été refusée.", "Débitez {} s'il vous plaît.", "Numéro de carte : {}"),
        "es": ("Mi tarjeta {} no funciona.", "Cargue {} por favor.", "Número de tarjeta: {}"),
        "it": ("La mia carta {} è stata rifiutata.", "Addebiti {} per favore.", "Numero di carta: {}"),
        "nl": ("Mijn kaart {} is geweigerd.", "Kaartnummer: {}", "Schrijf het af van {} alstublieft."),
    },
    "iban": {
        "en": ("Please transfer the rent to {} by Friday.", "{}", "IBAN: {}", "Is {} a valid account?"),
        "de": ("Bitte überweisen Sie auf {} bis Freitag.", "Meine IBAN lautet {}.", "Konto {}"),
        "fr": ("Merci de virer le loyer sur {}.", "Mon IBAN est {}.", "IBAN : {}"),
        "es": ("Transfiera el alquiler a {}.", "Mi IBAN es {}.", "Cuenta: {}"),
        "it": ("Faccia il bonifico su {} entro venerdì.", "Il mio IBAN è {}.", "Conto: {}"),
        "nl": ("Maak de huur over naar {}.", "Mijn IBAN is {}.", "Rekening: {}"),
    },
    "ssn": {
        "en": (
            "My SSN is {}.",
            "Social Security number: {}",
            "Her social security # is {}, please update the file.",
            "SSN {}, born in Ohio",
            "The employee ({}) is listed under that social security number.",
        ),
        "de": ("Meine US-Sozialversicherungsnummer lautet {}.", "SSN: {}"),
        "fr": ("Mon numéro de sécurité sociale américain est {}.", "SSN : {}"),
        "es": ("Mi número de seguro social es {}.", "SSN: {}"),
        "it": ("Il mio social security number è {}.", "SSN: {}"),
        "nl": ("Mijn social security number is {}.", "SSN: {}"),
    },
    "phone": {
        "en": (
            "Call me on {} after six.",
            "My phone number is {}.",
            "Phone: {}",
            "You can reach her at {}.",
            "Text me at {} when you arrive",
            "mobile {}",
            "his cell is {}",
        ),
        "de": (
            "Rufen Sie mich unter {} an.",
            "Meine Telefonnummer ist {}.",
            "Tel.: {}",
            "Handy {}",
            "Sie erreichen mich telefonisch unter {}.",
        ),
        "fr": ("Appelez-moi au {}.", "Mon numéro de téléphone est le {}.", "Tél. : {}", "Mon portable : {}"),
        "es": ("Llámame al {}.", "Mi número de teléfono es {}.", "Tel.: {}", "mi móvil es {}"),
        "it": ("Chiamami al {}.", "Il mio numero di telefono è {}.", "Tel. {}", "cellulare {}"),
        "nl": ("Bel me op {}.", "Mijn telefoonnummer is {}.", "Tel: {}", "mobiel {}"),
    },
    "bare": {
        "en": ("Anna Smith, {}, Leeds", "{}", "Here you are: {}"),
        "de": ("Anna Schmidt, {}, Bremen", "Bitte sehr: {}"),
        "fr": ("Anne Dupont, {}, Lyon", "Voici : {}"),
        "es": ("Ana Pérez, {}, Sevilla", "Aquí tiene: {}"),
        "it": ("Anna Rossi, {}, Torino", "Ecco: {}"),
        "nl": ("Anna de Vries, {}, Utrecht", "Hier: {}"),
    },
    "email": {
        "en": ("Write to {} please.", "{}", "My e-mail is {}, thanks", "Contact: <{}>", "from {}: hello"),
        "de": ("Schreiben Sie an {} bitte.", "Meine E-Mail ist {}.", "Kontakt: {}"),
        "fr": ("Écrivez à {} svp.", "Mon adresse est {}.", "Contact : {}"),
        "es": ("Escriba a {} por favor.", "Mi correo es {}.", "Contacto: {}"),
        "it": ("Scriva a {} per favore.", "La mia email è {}.", "Contatto: {}"),
        "nl": ("Schrijf naar {} alstublieft.", "Mijn e-mail is {}.", "Contact: {}"),
    },
    "secret": {
        "en": ("Why does this fail?\n{}", "{}", "Here is what I have:\n\n{}\n\nWhat is wrong?"),
        "de": ("Warum geht das nicht?\n{}", "{}", "Hier ist es:\n{}\nWas ist falsch?"),
        "fr": ("Pourquoi cela échoue ?\n{}", "{}", "Voici :\n{}\nQue faire ?"),
        "es": ("¿Por qué falla?\n{}", "{}", "Aquí está:\n{}\n¿Qué hago?"),
        "it": ("Perché non funziona?\n{}", "{}", "Ecco:\n{}\nChe cosa c'è di sbagliato?"),
        "nl": ("Waarom werkt dit niet?\n{}", "{}", "Hier is het:\n{}\nWat is er mis?"),
    },
    "prose": {
        "en": ("{}.", "Hi, {}. Can you check it?", "{}\nThanks"),
        "de": ("{}.", "Hallo, {}. Können Sie das prüfen?", "{}\nDanke"),
        "fr": ("{}.", "Bonjour, {}. Pouvez-vous vérifier ?", "{}\nMerci"),
        "es": ("{}.", "Hola, {}. ¿Puede comprobarlo?", "{}\nGracias"),
        "it": ("{}.", "Ciao, {}. Può controllare?", "{}\nGrazie"),
        "nl": ("{}.", "Hallo, {}. Kunt u het nakijken?", "{}\nBedankt"),
    },
    "machine": {
        "en": ("The host {} does not answer.", "{}", "Requests come from {} every night."),
        "de": ("Der Rechner {} antwortet nicht.", "Anfragen kommen von {}."),
        "fr": ("La machine {} ne répond pas.", "Les requêtes viennent de {}."),
        "es": ("La máquina {} no responde.", "Las peticiones vienen de {}."),
        "it": ("La macchina {} non risponde.", "Le richieste vengono da {}."),
        "nl": ("De machine {} antwoordt niet.", "Verzoeken komen van {}."),
    },
    "named": {
        "en": ("My {label} is {}.", "{label}: {}", "Please put {label} {} on the form.", "The {label} {} is on file."),
        "de": ("Meine {label} lautet {}.", "{label}: {}", "Bitte {label} {} eintragen."),
        "fr": ("Mon {label} est {}.", "{label} : {}", "Notez le {label} {} au dossier."),
        "es": ("Mi {label} es {}.", "{label}: {}", "Anote {label} {} en la ficha."),
        "it": ("Il mio {label} è {}.", "{label}: {}", "Segni {label} {} nella scheda."),
        "nl": ("Mijn {label} is {}.", "{label}: {}", "Noteer {label} {} in het dossier."),
    },
}
