# Português. Os SMS evitam ã, ç, ó e ú, que não estão no alfabeto GSM.
sms-code = Use { $code } para continuar em { $host }. Vale por { $minutes ->
        [one] { $minutes } minuto
       *[other] { $minutes } minutos
    }. Nunca o partilhe.
sms-code-short = Use { $code } para continuar. Vale por { $minutes ->
        [one] { $minutes } minuto
       *[other] { $minutes } minutos
    }. Nunca o partilhe.
sms-notice = { $host }: { $what }. { $action }: { $link }
sms-notice-plain = { $host }: { $what }.

call-code = Olá. O seu código de { $host } é: { $code }. Repito: { $code }. Não o partilhe com ninguém. Adeus.
call-again = Para ouvir novamente, prima qualquer tecla.

code-sign-in = Escreva este código para concluir o início de sessão em { $host }:
    .subject = O seu código para iniciar sessão em { $host }
code-verify = Escreva este código para confirmar que este endereço de e-mail é seu:
    .subject = Confirme o seu endereço de e-mail em { $host }
code-confirm = Escreva este código para confirmar o que vai fazer na sua conta de { $host }:
    .subject = O seu código de confirmação de { $host }
code-recover = Escreva este código para recuperar o acesso à sua conta de { $host }:
    .subject = Recupere a sua conta de { $host }
code-life = É válido por { $minutes ->
        [one] { $minutes } minuto
       *[other] { $minutes } minutos
    } e só uma vez.
code-link = Ou continue aqui, sem escrever o código:
code-link-label = Continuar
code-never-share = Não partilhe este código com ninguém. Ninguém de { $host } lho vai pedir.
code-not-asked = Se não pediu isto, pode ignorar este e-mail: sem o código, nada acontece.

notice-intro = Este e-mail é sobre a sua conta de { $host }.
notice-when = Quando
notice-address = A partir do endereço
notice-device = Dispositivo
notice-until = A ligação é válida até
notice-not-you = Se foi você, não precisa de fazer nada. Se não foi, avise-nos imediatamente:
notice-action = Não fui eu
notice-no-reply = Recebeu este e-mail por causa de algo que aconteceu na sua conta. Trata da segurança da conta e por isso não pode ser desativado.

notice-new-device = Alguém iniciou sessão na sua conta a partir de um dispositivo que ainda não conhecíamos.
    .subject = Novo início de sessão na sua conta
notice-password-changed = A palavra-passe da sua conta foi alterada.
    .subject = A sua palavra-passe foi alterada
notice-email-change-asked = Alguém pediu para substituir este endereço de e-mail por outro na sua conta.
    .subject = O seu endereço de e-mail vai mudar
    .not-you = Se foi você, não precisa de fazer nada. Se não foi, impeça-o aqui:
    .action = Manter o meu endereço
notice-username-changed = O seu nome de utilizador foi alterado.
    .subject = O seu nome de utilizador foi alterado
notice-email-changed = O endereço de e-mail da sua conta foi alterado.
    .subject = O seu endereço de e-mail foi alterado
notice-mobile-changed = O número de telefone da sua conta foi alterado.
    .subject = O seu número de telefone foi alterado
notice-factor-added = Uma nova forma de provar que é você foi adicionada à sua conta.
    .subject = Um método de acesso foi adicionado
notice-factor-removed = Uma forma de provar que é você foi removida da sua conta.
    .subject = Um método de acesso foi removido
notice-factor-locked = Foram introduzidos códigos errados demasiadas vezes para um dos seus métodos de acesso, depois da palavra-passe correta. Esse método não aceita mais códigos até ser configurado de novo. Se não foi você, alguém conhece a sua palavra-passe: inicie sessão por outro método e mude-a.
    .subject = Um método de acesso foi bloqueado. Se foi outra pessoa, mude a sua palavra-passe
notice-recovery-locked = Alguém que tentava recuperar o acesso à sua conta introduziu códigos errados demasiadas vezes para um dos seus métodos de acesso. Esse método não serve para recuperar o acesso até iniciar sessão com ele. Se não foi você, talvez alguém leia os seus e-mails ou mensagens.
    .subject = Recuperação bloqueada para um método de acesso. Se foi outra pessoa, verifique quem pode ler os seus e-mails e mensagens
notice-recovery-codes-made = Foram criados novos códigos de recuperação para a sua conta. Os antigos já não funcionam.
    .subject = Foram criados novos códigos de recuperação
notice-recovery-started = Alguém pediu para recuperar o acesso à sua conta sem a palavra-passe.
    .subject = Foi pedida a recuperação da sua conta
notice-sign-up-attempt = Alguém tentou abrir uma conta com os seus dados. Já tem uma conta, por isso não foi aberta nenhuma nova.
    .subject = Já tem uma conta
    .not-you = Se foi você, inicie sessão aqui. Se não foi, não precisa de fazer nada:
    .action = Iniciar sessão
notice-account-deleted = A sua conta foi eliminada.
    .subject = A sua conta foi eliminada
    .not-you = Se mudou de ideias, ou se não foi você, pode voltar atrás aqui:
    .action = Manter a minha conta
notice-data-exported = Alguém obteve uma cópia de tudo o que está guardado sobre si na sua conta.
    .subject = Foi obtida uma cópia dos seus dados
notice-refresh-reused = Uma sessão da sua conta foi usada em dois sítios ao mesmo tempo, como acontece quando é roubada. Foi terminada.
    .subject = Uma sessão foi terminada para sua segurança
notice-acted-on-behalf = Alguém da equipa de { $host } agiu na sua conta em seu nome.
    .subject = Alguém agiu na sua conta em seu nome
notice-suspended = A sua conta foi suspensa. Ninguém pode entrar até que seja reaberta.
    .subject = A sua conta foi suspensa
notice-restored = A sua conta foi reaberta. Já pode entrar.
    .subject = A sua conta foi reaberta
notice-account-removed = A administração de { $host } eliminou a sua conta.
    .subject = A sua conta foi eliminada pela administração
notice-sessions-ended = A administração de { $host } terminou todas as suas sessões.
    .subject = Todas as suas sessões foram terminadas
notice-factors-reset = A administração de { $host } repôs os seus métodos de acesso. Adicione de novo uma aplicação ou códigos de recuperação depois de entrar.
    .subject = Os seus métodos de acesso foram repostos
notice-roles-changed = A administração de { $host } alterou o que pode fazer lá.
    .subject = A sua função foi alterada
notice-account-changed = A administração de { $host } alterou a sua conta.
    .subject = A sua conta foi alterada pela administração
notice-account-made = Foi criada uma conta para si em { $host }.
    .subject = Foi criada uma conta para si
    .not-you = Escolha aqui a sua palavra-passe:
    .action = Escolher a minha palavra-passe
notice-invited = Foi convidado para uma organização em { $host }.
    .subject = Foi convidado para uma organização
    .not-you = Se estava à espera disto, aceite aqui. Caso contrário, não há nada a fazer:
    .action = Ver o convite

# Pages.
page-verify = Confirme que este endereço de e-mail é seu.
    .title = Confirme o seu endereço de e-mail
    .button = Confirmar o meu endereço de e-mail
    .done = O seu endereço de e-mail está confirmado. Pode fechar esta página.
    .gone = Talvez já esteja confirmado: a sua conta mostra-o.
page-recover = Indique o seu nome de utilizador, endereço de e-mail ou número de telefone. Se essa conta existir, será enviado um código para um endereço ou número confirmado.
    .title = Voltar a entrar na sua conta
    .off = Aqui não é possível voltar a entrar sem ajuda. Pergunte a quem cuida deste site.
    .identifier = Nome de utilizador, endereço de e-mail ou número de telefone
    .button = Enviar um código
    .asked = Se essa conta existir, um código está a caminho. Escreva-o aqui.
    .second = Falta mais uma prova.
    .code = O seu código
    .password = Palavra-passe nova
    .set = Definir a palavra-passe nova
    .done = A palavra-passe nova está definida e todas as sessões foram terminadas. Já pode iniciar sessão com ela.
page-welcome = Escolha a sua palavra-passe
    .button = Definir a minha palavra-passe
    .done = A sua palavra-passe está definida. Já pode iniciar sessão com ela.
page-undo = Anular a alteração? Todas as sessões da sua conta serão terminadas. O que foi feito nela desde então pode ser anulado também, e a palavra-passe pode deixar de funcionar até definir outra. Se mais alguma coisa não foi feita por si, use também a ligação da mensagem sobre ela.
    .title = Anular uma alteração
    .button = Anular
    .done = A alteração foi anulada e todas as sessões foram terminadas.
    .gone = Talvez já tenha sido anulada.
page-not-me = Não foi você? Então todas as sessões da sua conta serão terminadas e a palavra-passe deixa de funcionar até definir outra. O endereço, o número e as formas de iniciar sessão podem voltar a ser os de quando a mensagem chegou.
    .title = Isso não fui eu
    .button = Não fui eu
    .done = Todas as sessões foram terminadas e a palavra-passe já não funciona. Defina outra para voltar a entrar.
    .gone = Talvez isto já tenha sido feito. Então a palavra-passe antiga já não funciona: defina uma nova para voltar a entrar.
page-invitation = Foi convidado para { $organization }.
    .title = Entrar numa organização
    .sign-in = Inicie sessão com o endereço que recebeu este convite e depois aceite.
    .button = Aceitar o convite
    .done = Já faz parte de { $organization }. Pode fechar esta página.
    .gone = Talvez já faça parte, ou o convite tenha sido retirado.
