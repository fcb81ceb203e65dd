
# The console.
console = Consola de administração
    .account = A sua conta
    .nothing = Não há nada aqui.
console-keys = Chaves
    .signing = Chaves que assinam os tokens de acesso
    .signing-text = Cada token indica a chave que o assinou. Uma chave nova é publicada antes de assinar, e uma antiga enquanto os seus tokens valerem.
    .sealing = Chaves que selam o que é guardado
    .sealing-text = A primeira sela, todas abrem. São definidas na configuração.
    .name = Nome da chave
    .algorithm = Algoritmo usado
    .from = Assina desde
    .until = Assina até
    .counts = Vale até
    .first = Sela tudo
