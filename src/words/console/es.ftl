
# The console.
console = Consola
    .account = Su cuenta
    .nothing = Aquí no hay nada.
console-keys = Claves
    .signing = Claves que firman los tokens de acceso
    .signing-text = Cada token nombra la clave que lo firmó. Una clave nueva se publica antes de firmar, y una antigua mientras valgan sus tokens.
    .sealing = Claves que sellan lo guardado
    .sealing-text = La primera sella, todas abren. Se fijan en la configuración.
    .name = Nombre
    .algorithm = Algoritmo
    .from = Firma desde
    .until = Firma hasta
    .counts = Vale hasta
    .first = Sella
