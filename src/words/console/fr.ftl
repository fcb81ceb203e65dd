
# The console.
console = Console d’administration
    .account = Votre compte
    .nothing = Il n’y a rien ici.
console-keys = Clés
    .signing = Clés qui signent les jetons d’accès
    .signing-text = Chaque jeton nomme la clé qui l’a signé. Une nouvelle clé est publiée avant de signer, une ancienne tant que ses jetons sont valables.
    .sealing = Clés qui scellent ce qui est stocké
    .sealing-text = La première scelle, toutes ouvrent. Elles sont fixées dans la configuration.
    .name = Nom
    .algorithm = Algorithme
    .from = Signe à partir du
    .until = Signe jusqu’au
    .counts = Valable jusqu’au
    .first = Scelle
