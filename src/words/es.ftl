# Español. Los SMS evitan á, í, ó y ú, que no están en el alfabeto GSM: por eso «clave» y no «código».
sms-code = { $code } es tu clave de { $host }. Vence en { $minutes ->
        [one] { $minutes } minuto
       *[other] { $minutes } minutos
    }. No la compartas con nadie.
sms-code-short = { $code } es tu clave. Vence en { $minutes ->
        [one] { $minutes } minuto
       *[other] { $minutes } minutos
    }. No la compartas con nadie.
sms-notice = { $host }: { $what }. { $action }: { $link }
sms-notice-plain = { $host }: { $what }.

call-code = Hola. Tu código de { $host } es: { $code }. Te lo repito: { $code }. No lo compartas con nadie. Adiós.
call-again = Para escucharlo otra vez, pulse cualquier tecla.

code-sign-in = Escribe este código para terminar de iniciar sesión en { $host }:
    .subject = Tu código para iniciar sesión en { $host }
code-verify = Escribe este código para confirmar que esta dirección de correo es tuya:
    .subject = Confirma tu dirección de correo para { $host }
code-confirm = Escribe este código para confirmar lo que vas a hacer en tu cuenta de { $host }:
    .subject = Tu código de confirmación de { $host }
code-recover = Escribe este código para recuperar el acceso a tu cuenta de { $host }:
    .subject = Recupera tu cuenta de { $host }
code-life = Vale durante { $minutes ->
        [one] { $minutes } minuto
       *[other] { $minutes } minutos
    } y solo una vez.
code-link = O continúa aquí, sin escribir el código:
code-link-label = Continuar
code-never-share = No compartas este código con nadie. Nadie de { $host } te lo pedirá nunca.
code-not-asked = Si no lo has pedido tú, puedes ignorar este mensaje: sin el código no ocurre nada.

notice-intro = Este mensaje es sobre tu cuenta de { $host }.
notice-when = Cuándo
notice-address = Desde la dirección
notice-device = Dispositivo
notice-until = El enlace vale hasta
notice-not-you = Si fuiste tú, no tienes que hacer nada. Si no, avísanos enseguida:
notice-action = No fui yo
notice-no-reply = Recibes este mensaje por algo que ha ocurrido en tu cuenta. Es un aviso de seguridad y por eso no se puede desactivar.

notice-new-device = Se ha iniciado sesión en tu cuenta desde un dispositivo que no conocíamos.
    .subject = Nuevo inicio de sesión en tu cuenta
notice-password-changed = Se ha cambiado la contraseña de tu cuenta.
    .subject = Tu contraseña ha cambiado
notice-email-change-asked = Alguien ha pedido cambiar esta dirección de correo por otra en tu cuenta.
    .subject = Tu dirección de correo va a cambiar
    .not-you = Si fuiste tú, no tienes que hacer nada. Si no, impídelo aquí:
    .action = Conservar mi dirección
notice-username-changed = Se ha cambiado tu nombre de usuario.
    .subject = Tu nombre de usuario ha cambiado
notice-email-changed = Se ha cambiado la dirección de correo de tu cuenta.
    .subject = Tu dirección de correo ha cambiado
notice-mobile-changed = Se ha cambiado el número de teléfono de tu cuenta.
    .subject = Tu número de teléfono ha cambiado
notice-factor-added = Se ha añadido a tu cuenta una nueva forma de demostrar que eres tú.
    .subject = Se ha añadido un método de acceso
notice-factor-removed = Se ha quitado de tu cuenta una forma de demostrar que eres tú.
    .subject = Se ha quitado un método de acceso
notice-factor-locked = Se han dado códigos erróneos demasiadas veces para uno de tus métodos de acceso, tras la contraseña correcta. No acepta más códigos hasta que se configure de nuevo. Si no has sido tú, alguien conoce tu contraseña: entra con otro método y cámbiala.
    .subject = Se ha bloqueado un método de acceso. Si no ha sido cosa tuya, cambia tu contraseña
notice-recovery-locked = Alguien que intentaba recuperar el acceso a tu cuenta ha dado códigos erróneos demasiadas veces para uno de tus métodos de acceso. Ya no sirve para recuperar el acceso hasta que hayas entrado con él. Si no has sido tú, puede que alguien lea tu correo o tus mensajes.
    .subject = Recuperación bloqueada para un método de acceso. Si no ha sido cosa tuya, comprueba quién puede leer tu correo y tus mensajes
notice-recovery-codes-made = Se han creado nuevos códigos de recuperación para tu cuenta. Los anteriores ya no sirven.
    .subject = Nuevos códigos de recuperación
notice-recovery-started = Alguien ha pedido recuperar el acceso a tu cuenta sin la contraseña.
    .subject = Se ha pedido recuperar tu cuenta
notice-sign-up-attempt = Alguien ha intentado abrir una cuenta con tus datos. Ya tienes una, así que no se ha abierto ninguna nueva.
    .subject = Ya tienes una cuenta
    .not-you = Si fuiste tú, inicia sesión aquí. Si no, no tienes que hacer nada:
    .action = Iniciar sesión
notice-account-deleted = Se ha eliminado tu cuenta.
    .subject = Tu cuenta se ha eliminado
    .not-you = Si has cambiado de idea, o si no fuiste tú, puedes deshacerlo aquí:
    .action = Conservar mi cuenta
notice-data-exported = Alguien obtuvo una copia de todo lo que se guarda sobre usted en su cuenta.
    .subject = Se obtuvo una copia de sus datos
notice-refresh-reused = Una sesión de tu cuenta se ha usado en dos sitios a la vez, como pasa cuando la roban. La hemos cerrado.
    .subject = Hemos cerrado una sesión por tu seguridad
notice-acted-on-behalf = Alguien del equipo de { $host } ha actuado en tu cuenta en tu nombre.
    .subject = Alguien ha actuado en tu cuenta en tu nombre
notice-suspended = Su cuenta fue suspendida. Nadie puede iniciar sesión hasta que se abra de nuevo.
    .subject = Su cuenta fue suspendida
notice-restored = Su cuenta se abrió de nuevo. Puede iniciar sesión.
    .subject = Su cuenta se abrió de nuevo
notice-account-removed = La administración de { $host } eliminó su cuenta.
    .subject = Su cuenta fue eliminada por la administración
notice-sessions-ended = La administración de { $host } cerró todas sus sesiones.
    .subject = Se cerraron todas sus sesiones
notice-factors-reset = La administración de { $host } restableció sus métodos de acceso. Añada de nuevo una aplicación o códigos de recuperación cuando haya iniciado sesión.
    .subject = Sus métodos de acceso se restablecieron
notice-roles-changed = La administración de { $host } cambió lo que usted puede hacer allí.
    .subject = Su función ha cambiado
notice-account-changed = La administración de { $host } modificó su cuenta.
    .subject = La administración modificó su cuenta
notice-account-made = Se creó una cuenta para usted en { $host }.
    .subject = Se creó una cuenta para usted
    .not-you = Elija aquí su contraseña:
    .action = Elegir mi contraseña
notice-invited = Le invitan a unirse a una organización en { $host }.
    .subject = Le invitan a unirse a una organización
    .not-you = Si lo esperaba, acepte aquí. Si no, no tiene que hacer nada:
    .action = Ver la invitación

# Pages.
page-verify = Confirma que esta dirección de correo es tuya.
    .title = Confirma tu dirección de correo
    .button = Confirmar mi dirección de correo
    .done = Tu dirección de correo está confirmada. Puedes cerrar esta página.
    .gone = Quizá ya esté confirmada: puedes verlo en tu cuenta.
page-recover = Indica tu nombre de usuario, tu dirección de correo o tu número de teléfono. Si existe esa cuenta, enviaremos un código a una dirección o un número confirmado para ella.
    .title = Volver a entrar en tu cuenta
    .off = Aquí no se puede volver a entrar sin ayuda. Pregunta a quien se ocupa de este sitio.
    .identifier = Nombre de usuario, dirección de correo o número de teléfono
    .button = Enviarme un código
    .asked = Si existe esa cuenta, el código está en camino. Escríbelo aquí.
    .second = Hace falta una prueba más.
    .code = Tu código
    .password = Contraseña nueva
    .set = Guardar la contraseña nueva
    .done = Tu contraseña nueva está guardada y todas las sesiones se han cerrado. Ya puedes entrar con ella.
page-welcome = Elige tu contraseña
    .button = Guardar mi contraseña
    .done = Tu contraseña está guardada. Ya puedes entrar con ella.
page-undo = ¿Deshacer el cambio? Se cerrará la sesión de todos los que estén en tu cuenta. Lo que se hizo después en ella puede deshacerse también, y la contraseña puede dejar de servir hasta que pongas otra. Si alguna otra cosa tampoco la hiciste tú, usa también el enlace del mensaje sobre ella.
    .title = Deshacer un cambio
    .button = Deshacer
    .done = El cambio se ha deshecho y se han cerrado todas las sesiones.
    .gone = Quizá ya se haya deshecho.
page-not-me = ¿No fuiste tú? Entonces se cerrarán todas las sesiones de tu cuenta y la contraseña dejará de servir hasta que pongas otra. La dirección, el número y las formas de iniciar sesión pueden volver a ser los de cuando llegó el mensaje.
    .title = Eso no lo hice yo
    .button = No fui yo
    .done = Se han cerrado todas las sesiones y la contraseña ya no sirve. Pon otra para volver a entrar.
    .gone = Quizá ya se haya hecho. Entonces la contraseña antigua ya no sirve: pon otra para volver a entrar.
page-invitation = Le invitan a unirse a { $organization }.
    .title = Unirse a una organización
    .sign-in = Inicie sesión con la dirección a la que llegó esta invitación y acepte después.
    .button = Aceptar la invitación
    .done = Ya forma parte de { $organization }. Puede cerrar esta página.
    .gone = Quizá ya forme parte, o la invitación se haya retirado.
