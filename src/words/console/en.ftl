
# The console.
console = Console
    .account = Your account
    .nothing = There is nothing here.
console-keys = Keys
    .signing = Keys that sign access tokens
    .signing-text = Tokens name the key that signed them. A new key is published before it signs, and an old one for as long as its tokens count.
    .sealing = Keys that seal what is stored
    .sealing-text = The first seals, all of them open. They are set in the configuration.
    .name = Name
    .algorithm = Algorithm
    .from = Signs from
    .until = Signs until
    .counts = Counts until
    .first = Seals
