# Português. Os SMS evitam ã, ç, ó e ú, que não estão no alfabeto GSM.
sms-code = Use { $code } para continuar em { $host }. Vale por { $minutes ->
        [one] { $minutes } minuto
       *[other] { $minutes } minutos
    }. Nunca compartilhe.
sms-code-short = Use { $code } para continuar. Vale por { $minutes ->
        [one] { $minutes } minuto
       *[other] { $minutes } minutos
    }. Nunca compartilhe.
sms-notice = { $host }: { $what }. { $action }: { $link }
sms-notice-plain = { $host }: { $what }.

call-code = Olá. Seu código de { $host } é: { $code }. Repetindo: { $code }. Não o compartilhe com ninguém. Até logo.
call-again = Para ouvir novamente, prima qualquer tecla.

code-sign-in = Digite este código para concluir o acesso a { $host }:
    .subject = Seu código de acesso a { $host }
code-verify = Digite este código para confirmar que este endereço de e-mail é seu:
    .subject = Confirme seu endereço de e-mail em { $host }
code-confirm = Digite este código para confirmar o que você vai fazer na sua conta de { $host }:
    .subject = Seu código de confirmação de { $host }
code-recover = Digite este código para recuperar o acesso à sua conta de { $host }:
    .subject = Recupere sua conta de { $host }
code-life = Ele vale por { $minutes ->
        [one] { $minutes } minuto
       *[other] { $minutes } minutos
    } e só uma vez.
code-link = Ou continue aqui, sem digitar o código:
code-link-label = Continuar
code-never-share = Não compartilhe este código com ninguém. Ninguém de { $host } vai pedi-lo a você.
code-not-asked = Se você não pediu isto, pode ignorar este e-mail: sem o código, nada acontece.

notice-intro = Este e-mail é sobre a sua conta de { $host }.
notice-when = Quando
notice-address = A partir do endereço
notice-device = Dispositivo
notice-until = O link vale até
notice-not-you = Se foi você, não precisa fazer nada. Se não foi, avise-nos imediatamente:
notice-action = Não fui eu
notice-no-reply = Você recebeu este e-mail por causa de algo que aconteceu na sua conta. Ele trata da segurança dela e por isso não pode ser desativado.

notice-new-device = Alguém entrou na sua conta a partir de um dispositivo que ainda não conhecíamos.
    .subject = Novo acesso à sua conta
notice-password-changed = A senha da sua conta foi alterada.
    .subject = Sua senha foi alterada
notice-email-change-asked = Alguém pediu para trocar este endereço de e-mail por outro na sua conta.
    .subject = Seu endereço de e-mail vai mudar
    .not-you = Se foi você, não precisa fazer nada. Se não foi, impeça aqui:
    .action = Manter meu endereço
notice-username-changed = Seu nome de usuário foi alterado.
    .subject = Seu nome de usuário foi alterado
notice-email-changed = O endereço de e-mail da sua conta foi alterado.
    .subject = Seu endereço de e-mail foi alterado
notice-mobile-changed = O número de telefone da sua conta foi alterado.
    .subject = Seu número de telefone foi alterado
notice-factor-added = Uma nova forma de provar que é você foi adicionada à sua conta.
    .subject = Um método de acesso foi adicionado
notice-factor-removed = Uma forma de provar que é você foi removida da sua conta.
    .subject = Um método de acesso foi removido
notice-factor-locked = Códigos errados foram informados vezes demais para um dos seus métodos de acesso, depois da senha correta. Ele não aceita mais códigos até ser configurado de novo. Se não foi você, alguém conhece a sua senha: entre por outro método e troque-a.
    .subject = Um método de acesso foi bloqueado. Se foi outra pessoa, troque a sua senha
notice-recovery-locked = Alguém que tentava recuperar o acesso à sua conta informou códigos errados vezes demais para um dos seus métodos de acesso. Ele não serve mais para recuperar o acesso até que você entre com ele. Se não foi você, talvez alguém leia os seus e-mails ou mensagens.
    .subject = Recuperação bloqueada para um método de acesso. Se foi outra pessoa, verifique quem pode ler os seus e-mails e mensagens
notice-recovery-codes-made = Novos códigos de recuperação foram criados para a sua conta. Os antigos não funcionam mais.
    .subject = Novos códigos de recuperação foram criados
notice-recovery-started = Alguém pediu para recuperar o acesso à sua conta sem a senha.
    .subject = Recuperação da sua conta solicitada
notice-sign-up-attempt = Alguém tentou abrir uma conta com os seus dados. Você já tem uma, por isso nenhuma nova foi aberta.
    .subject = Você já tem uma conta
    .not-you = Se foi você, entre por aqui. Se não foi, não precisa fazer nada:
    .action = Entrar
notice-account-deleted = A sua conta foi excluída.
    .subject = Sua conta foi excluída
    .not-you = Se você mudou de ideia, ou se não foi você, pode desfazer aqui:
    .action = Manter minha conta
notice-data-exported = Alguém obteve uma cópia de tudo o que está guardado sobre si na sua conta.
    .subject = Foi obtida uma cópia dos seus dados
notice-refresh-reused = Uma sessão da sua conta foi usada em dois lugares ao mesmo tempo, como acontece quando é roubada. Ela foi encerrada.
    .subject = Uma sessão foi encerrada para a sua segurança
notice-acted-on-behalf = Alguém da equipe de { $host } agiu na sua conta em seu nome.
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
page-recover = Indique o seu nome de usuário, endereço de e-mail ou número de telefone. Se essa conta existir, um código será enviado a um endereço ou número confirmado.
    .title = Voltar a entrar na sua conta
    .off = Aqui não é possível voltar a entrar sem ajuda. Pergunte a quem cuida deste site.
    .identifier = Nome de usuário, endereço de e-mail ou número de telefone
    .button = Enviar um código
    .asked = Se essa conta existir, um código está a caminho. Digite-o aqui.
    .second = Falta mais uma prova.
    .code = Seu código
    .password = Nova senha
    .set = Definir a nova senha
    .done = A nova senha está definida e todas as sessões foram encerradas. Já pode entrar com ela.
page-welcome = Escolha a sua senha
    .button = Definir a minha senha
    .done = A sua senha está definida. Já pode entrar com ela.
page-undo = Desfazer a alteração? Todas as sessões da sua conta serão encerradas. Se algo mais foi feito nela desde então, a senha deixará de funcionar até que você defina outra.
    .title = Desfazer uma alteração
    .button = Desfazer
    .done = A alteração foi desfeita e todas as sessões foram encerradas.
    .gone = Talvez já tenha sido desfeita.
page-not-me = Não foi você? Então todas as sessões da sua conta serão encerradas e a senha deixará de funcionar até que você defina outra.
    .title = Isso não fui eu
    .button = Não fui eu
    .done = Todas as sessões foram encerradas e a senha já não funciona. Defina outra para voltar a entrar.
    .gone = Talvez isto já tenha sido feito. Então a senha antiga já não funciona: defina uma nova para voltar a entrar.
page-invitation = Foi convidado para { $organization }.
    .title = Entrar numa organização
    .sign-in = Entre com o endereço que recebeu este convite e depois aceite.
    .button = Aceitar o convite
    .done = Já faz parte de { $organization }. Pode fechar esta página.
    .gone = Talvez já faça parte, ou o convite tenha sido retirado.
