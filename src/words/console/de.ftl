
# The console.
console = Konsole
    .account = Ihr Konto
    .nothing = Hier ist nichts.
console-keys = Schlüssel
    .signing = Schlüssel, die Zugangstoken signieren
    .signing-text = Jedes Token nennt den Schlüssel, der es signiert hat. Ein neuer Schlüssel wird veröffentlicht, bevor er signiert, ein alter so lange, wie seine Token gelten.
    .sealing = Schlüssel, die Gespeichertes versiegeln
    .sealing-text = Der erste versiegelt, alle öffnen. Sie stehen in der Konfiguration.
    .name = Bezeichnung
    .algorithm = Verfahren
    .from = Signiert ab
    .until = Signiert bis
    .counts = Gilt bis
    .first = Versiegelt
