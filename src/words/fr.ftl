# Français. Les SMS évitent ç, ê, î et û, qui ne sont pas dans l'alphabet GSM.
sms-code = { $code } est votre code { $host }. Il est valable { $minutes ->
        [one] { $minutes } minute
       *[other] { $minutes } minutes
    }. Ne le donnez jamais.
sms-code-short = { $code } est votre code. Il est valable { $minutes ->
        [one] { $minutes } minute
       *[other] { $minutes } minutes
    }. Ne le donnez jamais.
sms-notice = { $host } : { $what }. { $action } : { $link }
sms-notice-plain = { $host } : { $what }.

call-code = Bonjour. Votre code { $host } est : { $code }. Je répète : { $code }. Ne le communiquez à personne. Au revoir.
call-again = Pour l'entendre à nouveau, appuyez sur une touche.

code-sign-in = Saisissez ce code pour terminer votre connexion à { $host } :
    .subject = Votre code de connexion à { $host }
code-verify = Saisissez ce code pour confirmer que cette adresse e-mail est bien la vôtre :
    .subject = Confirmez votre adresse e-mail pour { $host }
code-confirm = Saisissez ce code pour confirmer l'opération en cours sur votre compte { $host } :
    .subject = Votre code de confirmation pour { $host }
code-recover = Saisissez ce code pour retrouver l'accès à votre compte { $host } :
    .subject = Récupération de votre compte { $host }
code-life = Il est valable { $minutes ->
        [one] { $minutes } minute
       *[other] { $minutes } minutes
    } et ne sert qu'une fois.
code-link = Ou continuez ici, sans saisir le code :
code-link-label = Continuer
code-never-share = Ne communiquez ce code à personne. Personne chez { $host } ne vous le demandera jamais.
code-not-asked = Si vous n'êtes pas à l'origine de cette demande, ignorez ce message : sans le code, il ne se passera rien.

notice-intro = Ce message concerne votre compte { $host }.
notice-when = Date
notice-address = Depuis l'adresse
notice-device = Appareil
notice-until = Lien valable jusqu'au
notice-not-you = Si c'était vous, vous n'avez rien à faire. Sinon, prévenez-nous tout de suite :
notice-action = Ce n'était pas moi
notice-no-reply = Vous recevez ce message à la suite d'un événement sur votre compte. Il concerne votre sécurité, c'est pourquoi il ne peut pas être désactivé.

notice-new-device = Une connexion à votre compte a eu lieu depuis un appareil que nous ne connaissions pas.
    .subject = Nouvelle connexion à votre compte
notice-password-changed = Le mot de passe de votre compte a été modifié.
    .subject = Votre mot de passe a été modifié
notice-email-change-asked = Quelqu'un a demandé à remplacer cette adresse e-mail par une autre dans votre compte.
    .subject = Votre adresse e-mail va changer
    .not-you = Si c'était vous, vous n'avez rien à faire. Sinon, annulez la demande ici :
    .action = Garder mon adresse
notice-username-changed = Votre nom d'utilisateur a été modifié.
    .subject = Votre nom d'utilisateur a été modifié
notice-email-changed = L'adresse e-mail de votre compte a été modifiée.
    .subject = Votre adresse e-mail a été modifiée
notice-mobile-changed = Le numéro de téléphone de votre compte a été modifié.
    .subject = Votre numéro de téléphone a été modifié
notice-factor-added = Un nouveau moyen de prouver votre identité a été ajouté à votre compte.
    .subject = Une méthode de connexion a été ajoutée
notice-factor-removed = Un moyen de prouver votre identité a été retiré de votre compte.
    .subject = Une méthode de connexion a été retirée
notice-factor-locked = Des codes erronés ont été donnés trop souvent pour l'une de vos méthodes de connexion, après le bon mot de passe. Elle n'accepte plus de code jusqu'à ce qu'elle soit configurée à nouveau. Si ce n'était pas vous, quelqu'un connaît votre mot de passe : connectez-vous autrement et changez-le.
    .subject = Une méthode de connexion a été bloquée. Si ce n'était pas vous, changez votre mot de passe
notice-recovery-locked = Quelqu'un qui voulait retrouver l'accès à votre compte a donné trop souvent des codes erronés pour l'une de vos méthodes de connexion. Elle ne sert plus à retrouver l'accès tant que vous ne vous êtes pas connecté avec elle. Si ce n'était pas vous, quelqu'un lit peut-être vos mails ou vos messages.
    .subject = Récupération bloquée pour une méthode de connexion. Si ce n'était pas vous, vérifiez qui peut lire vos e-mails et vos messages
notice-recovery-codes-made = De nouveaux codes de secours ont été créés pour votre compte. Les anciens ne sont plus valables.
    .subject = De nouveaux codes de secours ont été créés
notice-recovery-started = Quelqu'un a demandé à retrouver l'accès à votre compte sans le mot de passe.
    .subject = Récupération de votre compte demandée
notice-sign-up-attempt = Quelqu'un a essayé d'ouvrir un compte avec vos coordonnées. Vous en avez déjà un, aucun nouveau compte n'a donc été ouvert.
    .subject = Vous avez déjà un compte
    .not-you = Si c'était vous, connectez-vous ici. Sinon, vous n'avez rien à faire :
    .action = Me connecter
notice-account-deleted = Votre compte a été supprimé.
    .subject = Votre compte a été supprimé
    .not-you = Si vous avez changé d'avis, ou si ce n'était pas vous, vous pouvez annuler ici :
    .action = Garder mon compte
notice-data-exported = Quelqu’un a pris une copie de tout ce qui est conservé sur vous dans votre compte.
    .subject = Une copie de vos données a été prise
notice-refresh-reused = Une session de votre compte a été utilisée à deux endroits à la fois, comme après un vol. Elle a été fermée.
    .subject = Une session a été fermée pour votre sécurité
notice-acted-on-behalf = Un membre de l'équipe de { $host } a agi en votre nom dans votre compte.
    .subject = Quelqu'un a agi en votre nom dans votre compte
notice-suspended = Votre compte a été suspendu. Personne ne peut s’y connecter avant sa réouverture.
    .subject = Votre compte a été suspendu
notice-restored = Votre compte a été rouvert. Vous pouvez vous y connecter.
    .subject = Votre compte a été rouvert
notice-account-removed = L’administration de { $host } a supprimé votre compte.
    .subject = Votre compte a été supprimé par l’administration
notice-sessions-ended = L’administration de { $host } vous a déconnecté partout.
    .subject = Vous avez été déconnecté partout
notice-factors-reset = L’administration de { $host } a réinitialisé vos moyens de connexion. Ajoutez de nouveau une application ou des codes de secours après votre connexion.
    .subject = Vos moyens de connexion ont été réinitialisés
notice-roles-changed = L’administration de { $host } a modifié ce que vous pouvez y faire.
    .subject = Votre rôle a été modifié
notice-account-changed = L’administration de { $host } a modifié votre compte.
    .subject = Votre compte a été modifié par l’administration
notice-account-made = Un compte a été créé pour vous sur { $host }.
    .subject = Un compte a été créé pour vous
    .not-you = Choisissez votre mot de passe ici :
    .action = Choisir mon mot de passe
notice-invited = Vous êtes invité à rejoindre une organisation sur { $host }.
    .subject = Vous êtes invité à rejoindre une organisation
    .not-you = Si vous l’attendiez, acceptez ici. Sinon, il n’y a rien à faire :
    .action = Voir l’invitation

# Pages.
page-verify = Confirmez que cette adresse e-mail est la vôtre.
    .title = Confirmez votre adresse e-mail
    .button = Confirmer mon adresse e-mail
    .done = Votre adresse e-mail est confirmée. Vous pouvez fermer cette page.
    .gone = Elle est peut-être déjà confirmée : votre compte l'indique.
page-recover = Indiquez votre nom d'utilisateur, votre adresse e-mail ou votre numéro de téléphone. Si ce compte existe, un code est envoyé à une adresse ou un numéro confirmé.
    .title = Retrouver l'accès à votre compte
    .off = Ici, on ne retrouve pas l'accès à son compte sans aide. Demandez à qui s'occupe de ce site.
    .identifier = Nom d'utilisateur, adresse e-mail ou numéro de téléphone
    .button = M'envoyer un code
    .asked = Si ce compte existe, un code est en route. Saisissez-le ici.
    .second = Il faut encore une preuve.
    .code = Votre code
    .password = Nouveau mot de passe
    .set = Enregistrer le nouveau mot de passe
    .done = Votre nouveau mot de passe est enregistré et toutes les sessions sont fermées. Vous pouvez maintenant vous connecter.
page-welcome = Choisissez votre mot de passe
    .button = Enregistrer mon mot de passe
    .done = Votre mot de passe est enregistré. Vous pouvez maintenant vous connecter.
page-undo = Annuler la modification ? Toutes les sessions de votre compte seront fermées. Ce qui y a été fait depuis peut être annulé aussi, et le mot de passe peut ne plus servir tant que vous n'en aurez pas choisi un autre. Si autre chose n'était pas de vous non plus, utilisez aussi le lien du message correspondant.
    .title = Annuler une modification
    .button = Annuler la modification
    .done = La modification est annulée et toutes les sessions sont fermées.
    .gone = Elle a peut-être déjà été annulée.
page-not-me = Ce n'était pas vous ? Alors toutes les sessions de votre compte seront fermées et le mot de passe ne servira plus tant que vous n'en aurez pas choisi un autre. L'adresse, le numéro et les moyens de connexion peuvent redevenir ce qu'ils étaient à l'arrivée du message.
    .title = Ce n'était pas moi
    .button = Non, ce n'était pas moi
    .done = Toutes les sessions sont fermées et le mot de passe ne sert plus. Choisissez-en un autre pour retrouver l'accès.
    .gone = C'est peut-être déjà fait. Alors l'ancien mot de passe ne sert plus : choisissez-en un autre pour retrouver l'accès.
page-invitation = Vous êtes invité à rejoindre { $organization }.
    .title = Rejoindre une organisation
    .sign-in = Connectez-vous avec l’adresse qui a reçu cette invitation, puis acceptez.
    .button = Accepter l’invitation
    .done = Vous avez rejoint { $organization }. Vous pouvez fermer cette page.
    .gone = Vous avez peut-être déjà rejoint l’organisation, ou l'invitation a été retirée.
