# Deutsch.
sms-code = { $code } ist Ihr Code für { $host }. Er gilt { $minutes ->
        [one] { $minutes } Minute
       *[other] { $minutes } Minuten
    }. Geben Sie ihn nie weiter.
sms-code-short = { $code } ist Ihr Code. Er gilt { $minutes ->
        [one] { $minutes } Minute
       *[other] { $minutes } Minuten
    }. Geben Sie ihn nie weiter.
sms-notice = { $host }: { $what }. { $action }: { $link }
sms-notice-plain = { $host }: { $what }.

call-code = Guten Tag. Ihr Code für { $host } lautet: { $code }. Noch einmal: { $code }. Geben Sie ihn nie weiter. Auf Wiederhören.
call-again = Um ihn noch einmal zu hören, drücken Sie eine beliebige Taste.

code-sign-in = Geben Sie diesen Code ein, um die Anmeldung bei { $host } abzuschließen:
    .subject = Ihr Code für die Anmeldung bei { $host }
code-verify = Geben Sie diesen Code ein, um zu zeigen, dass diese E-Mail-Adresse Ihnen gehört:
    .subject = Bestätigen Sie Ihre E-Mail-Adresse für { $host }
code-confirm = Geben Sie diesen Code ein, um den nächsten Schritt in Ihrem Konto bei { $host } zu bestätigen:
    .subject = Ihr Bestätigungscode für { $host }
code-recover = Geben Sie diesen Code ein, um wieder Zugang zu Ihrem Konto bei { $host } zu bekommen:
    .subject = Zugang zu Ihrem Konto bei { $host } wiederherstellen
code-life = Er gilt { $minutes ->
        [one] { $minutes } Minute
       *[other] { $minutes } Minuten
    } und nur einmal.
code-link = Oder machen Sie hier weiter, ohne den Code einzutippen:
code-link-label = Weiter
code-never-share = Geben Sie diesen Code niemandem. Niemand von { $host } wird Sie je danach fragen.
code-not-asked = Wenn Sie das nicht angefordert haben, können Sie diese E-Mail ignorieren: Ohne den Code geschieht nichts.

notice-intro = Es geht um Ihr Konto bei { $host }.
notice-when = Zeitpunkt
notice-address = Von der Adresse
notice-device = Gerät
notice-until = Der Link gilt bis
notice-not-you = Wenn Sie das waren, brauchen Sie nichts zu tun. Wenn nicht, sagen Sie uns sofort Bescheid:
notice-action = Das war ich nicht
notice-no-reply = Sie bekommen diese E-Mail, weil in Ihrem Konto etwas geschehen ist. Sie betrifft dessen Sicherheit und lässt sich deshalb nicht abbestellen.

notice-new-device = Jemand hat sich von einem Gerät, das wir noch nicht kennen, in Ihrem Konto angemeldet.
    .subject = Neue Anmeldung in Ihrem Konto
notice-password-changed = Das Passwort Ihres Kontos wurde geändert.
    .subject = Ihr Passwort wurde geändert
notice-email-change-asked = Jemand möchte diese E-Mail-Adresse in Ihrem Konto durch eine andere ersetzen.
    .subject = Ihre E-Mail-Adresse soll geändert werden
    .not-you = Wenn Sie das waren, brauchen Sie nichts zu tun. Wenn nicht, verhindern Sie es hier:
    .action = Meine Adresse behalten
notice-username-changed = Ihr Benutzername wurde geändert.
    .subject = Ihr Benutzername wurde geändert
notice-email-changed = Die E-Mail-Adresse Ihres Kontos wurde geändert.
    .subject = Ihre E-Mail-Adresse wurde geändert
notice-mobile-changed = Die Telefonnummer Ihres Kontos wurde geändert.
    .subject = Ihre Telefonnummer wurde geändert
notice-factor-added = Ihrem Konto wurde ein weiterer Nachweis hinzugefügt, mit dem man sich anmelden kann.
    .subject = Eine Anmeldemethode wurde hinzugefügt
notice-factor-removed = Aus Ihrem Konto wurde ein Nachweis entfernt, mit dem man sich anmelden konnte.
    .subject = Eine Anmeldemethode wurde entfernt
notice-factor-locked = Für eine Ihrer Anmeldemethoden wurden nach dem richtigen Passwort zu oft falsche Codes eingegeben. Sie nimmt keine Codes mehr an, bis sie neu eingerichtet wird. Wenn Sie das nicht waren, kennt jemand Ihr Passwort: Melden Sie sich auf anderem Weg an und ändern Sie es.
    .subject = Eine Anmeldemethode wurde gesperrt. Wenn Sie das nicht waren, ändern Sie Ihr Passwort
notice-recovery-locked = Jemand, der wieder Zugang zu Ihrem Konto bekommen wollte, hat für eine Ihrer Anmeldemethoden zu oft falsche Codes eingegeben. Sie hilft dabei nicht mehr, bis Sie sich mit ihr angemeldet haben. Wenn Sie das nicht waren, liest vielleicht jemand Ihre Mails oder Nachrichten.
    .subject = Wiederherstellung mit einer Anmeldemethode gesperrt. Wenn Sie das nicht waren, prüfen Sie, wer Ihre E-Mails und Nachrichten lesen kann
notice-recovery-codes-made = Für Ihr Konto wurden neue Wiederherstellungscodes erstellt. Die alten gelten nicht mehr.
    .subject = Neue Wiederherstellungscodes wurden erstellt
notice-recovery-started = Jemand möchte ohne Passwort wieder Zugang zu Ihrem Konto bekommen.
    .subject = Wiederherstellung Ihres Kontos angefordert
notice-sign-up-attempt = Jemand wollte mit Ihren Angaben ein Konto eröffnen. Sie haben schon eines, deshalb wurde kein neues eröffnet.
    .subject = Sie haben schon ein Konto
    .not-you = Wenn Sie das waren, melden Sie sich hier an. Wenn nicht, brauchen Sie nichts zu tun:
    .action = Anmelden
notice-account-deleted = Ihr Konto wurde gelöscht.
    .subject = Ihr Konto wurde gelöscht
    .not-you = Wenn Sie es sich anders überlegt haben oder das nicht waren, können Sie es hier zurücknehmen:
    .action = Mein Konto behalten
notice-data-exported = Jemand hat sich aus Ihrem Konto eine Kopie von allem geholt, was dort über Sie gespeichert ist.
    .subject = Eine Kopie Ihrer Daten wurde abgerufen
notice-refresh-reused = Eine Sitzung Ihres Kontos wurde an zwei Orten zugleich benutzt, wie es nach einem Diebstahl geschieht. Sie wurde beendet.
    .subject = Eine Sitzung wurde zu Ihrem Schutz beendet
notice-acted-on-behalf = Jemand aus dem Team von { $host } hat in Ihrem Namen in Ihrem Konto gehandelt.
    .subject = Jemand hat in Ihrem Namen in Ihrem Konto gehandelt
notice-suspended = Ihr Konto wurde gesperrt. Niemand kann sich anmelden, bis es wieder geöffnet wird.
    .subject = Ihr Konto wurde gesperrt
notice-restored = Ihr Konto wurde wieder geöffnet. Sie können sich anmelden.
    .subject = Ihr Konto wurde wieder geöffnet
notice-account-removed = Eine Verwalterin oder ein Verwalter von { $host } hat Ihr Konto gelöscht.
    .subject = Ihr Konto wurde von der Verwaltung gelöscht
notice-sessions-ended = Die Verwaltung von { $host } hat Sie überall abgemeldet.
    .subject = Sie wurden überall abgemeldet
notice-factors-reset = Die Verwaltung von { $host } hat Ihre Anmeldeverfahren zurückgesetzt. Richten Sie App oder Wiederherstellungscodes nach der Anmeldung neu ein.
    .subject = Ihre Anmeldeverfahren wurden zurückgesetzt
notice-roles-changed = Die Verwaltung von { $host } hat geändert, was Sie dort dürfen.
    .subject = Ihre Rolle wurde geändert
notice-account-changed = Die Verwaltung von { $host } hat Ihr Konto geändert.
    .subject = Ihr Konto wurde von der Verwaltung geändert
notice-account-made = Bei { $host } wurde ein Konto für Sie angelegt.
    .subject = Ein Konto wurde für Sie angelegt
    .not-you = Wählen Sie hier Ihr Passwort:
    .action = Mein Passwort wählen
notice-invited = Sie sind eingeladen, einer Organisation bei { $host } beizutreten.
    .subject = Sie sind in eine Organisation eingeladen
    .not-you = Wenn Sie das erwartet haben, nehmen Sie hier an. Sonst ist nichts zu tun:
    .action = Einladung ansehen

# Pages.
page-verify = Bestätigen Sie, dass diese E-Mail-Adresse Ihnen gehört.
    .title = E-Mail-Adresse bestätigen
    .button = Meine E-Mail-Adresse bestätigen
    .done = Ihre E-Mail-Adresse ist bestätigt. Sie können diese Seite schließen.
    .gone = Vielleicht ist sie schon bestätigt: das sehen Sie in Ihrem Konto.
page-recover = Geben Sie Ihren Benutzernamen, Ihre E-Mail-Adresse oder Ihre Telefonnummer an. Wenn es ein solches Konto gibt, geht ein Code an eine dafür bestätigte Adresse oder Nummer.
    .title = Zurück in Ihr Konto
    .off = Ohne Hilfe gibt es hier keinen Weg zurück ins Konto. Fragen Sie, wer diese Seite betreut.
    .identifier = Benutzername, E-Mail-Adresse oder Telefonnummer
    .button = Code senden
    .asked = Wenn es ein solches Konto gibt, ist ein Code unterwegs. Geben Sie ihn hier ein.
    .second = Es fehlt noch ein Nachweis.
    .code = Ihr Code
    .password = Neues Passwort
    .set = Neues Passwort setzen
    .done = Ihr neues Passwort gilt, und alle Sitzungen wurden beendet. Sie können sich jetzt damit anmelden.
page-welcome = Ihr Passwort wählen
    .button = Mein Passwort festlegen
    .done = Ihr Passwort gilt. Sie können sich jetzt damit anmelden.
page-undo = Die Änderung zurücknehmen? Alle, die in Ihrem Konto angemeldet sind, werden abgemeldet. Was seither noch darin getan wurde, kann mit zurückgenommen werden, und das Passwort kann ungültig werden, bis Sie ein neues setzen. Waren Sie auch etwas anderes nicht, benutzen Sie auch den Link in der Nachricht darüber.
    .title = Eine Änderung zurücknehmen
    .button = Zurücknehmen
    .done = Die Änderung wurde zurückgenommen, und alle wurden abgemeldet.
    .gone = Vielleicht wurde sie schon zurückgenommen.
page-not-me = Waren Sie das nicht? Dann werden alle aus Ihrem Konto abgemeldet, und das Passwort gilt nicht mehr, bis Sie ein neues setzen. Adresse, Nummer und Wege zum Anmelden können wieder so werden, wie sie waren, als die Nachricht kam.
    .title = Das war ich nicht
    .button = Ich war es nicht
    .done = Alle wurden abgemeldet, und das Passwort gilt nicht mehr. Setzen Sie ein neues, um wieder hineinzukommen.
    .gone = Vielleicht ist das schon geschehen. Dann gilt das alte Passwort nicht mehr: Setzen Sie ein neues, um wieder hineinzukommen.
page-invitation = Sie sind eingeladen, { $organization } beizutreten.
    .title = Einer Organisation beitreten
    .sign-in = Melden Sie sich mit der Adresse an, an die diese Einladung ging, und nehmen Sie dann an.
    .button = Einladung annehmen
    .done = Sie sind { $organization } beigetreten. Sie können diese Seite schließen.
    .gone = Vielleicht sind Sie schon beigetreten, oder die Einladung wurde zurückgenommen.
