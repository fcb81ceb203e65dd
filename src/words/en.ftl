# English. The other files have the same keys with the same places in them; a test holds them to it.
# Text messages keep to the alphabet of GSM 03.38 where the language can.

# Text messages. {$minutes} is a whole number, {$host} such as accounts.example.com.
sms-code = { $code } is your { $host } code. It works for { $minutes ->
        [one] { $minutes } minute
       *[other] { $minutes } minutes
    }. Never share it.
sms-code-short = { $code } is your code. It works for { $minutes ->
        [one] { $minutes } minute
       *[other] { $minutes } minutes
    }. Never share it.
sms-notice = { $host }: { $what }. { $action }: { $link }
sms-notice-plain = { $host }: { $what }.

# A voice; {$code} is read digit by digit.
call-code = Hello. Your { $host } code is: { $code }. Once more: { $code }. Never share it with anybody. Goodbye.
call-again = To hear it again, press any key.

# Mails that carry a code.
code-sign-in = Enter this code to finish signing in to { $host }:
    .subject = Your code to sign in to { $host }
code-verify = Enter this code to show that this e-mail address is yours:
    .subject = Confirm your e-mail address for { $host }
code-confirm = Enter this code to confirm what you are about to do in your { $host } account:
    .subject = Your confirmation code for { $host }
code-recover = Enter this code to get back into your { $host } account:
    .subject = Recover your { $host } account
code-life = It works for { $minutes ->
        [one] { $minutes } minute
       *[other] { $minutes } minutes
    }, and only once.
code-link = Or continue here, without typing the code:
code-link-label = Continue
code-never-share = Never give this code to anybody. Nobody from { $host } will ever ask you for it.
code-not-asked = If you did not ask for this, you can ignore this e-mail: nothing happens without the code.

# Mails about something that happened. The subject is also the text message, and what a voice says.
notice-intro = This is about your { $host } account.
notice-when = When
notice-address = From address
notice-device = Device
notice-until = The link works until
notice-not-you = If this was you, there is nothing to do. If it was not, tell us at once:
notice-action = This was not me
notice-no-reply = This e-mail was sent because of what happened in your account. It is about its security, so it cannot be turned off.

notice-new-device = Somebody signed in to your account from a device that we have not seen before.
    .subject = New sign-in to your account
notice-password-changed = The password of your account was changed.
    .subject = Your password was changed
notice-email-change-asked = Somebody asked to replace this e-mail address with another one in your account.
    .subject = Your e-mail address is about to change
    .not-you = If this was you, there is nothing to do. If it was not, stop it here:
    .action = Keep my address
notice-username-changed = Your username was changed.
    .subject = Your username was changed
notice-email-changed = The e-mail address of your account was changed.
    .subject = Your e-mail address was changed
notice-mobile-changed = The phone number of your account was changed.
    .subject = Your phone number was changed
notice-factor-added = A sign-in method was added to your account.
    .subject = A sign-in method was added
notice-factor-removed = A sign-in method was removed from your account.
    .subject = A sign-in method was removed
notice-factor-locked = After the right password, too many wrong codes were given for one of your sign-in methods. It is locked until you set it up again. If that was not you, somebody knows your password: sign in by another method and change it.
    .subject = A sign-in method was locked. If that was not you, change your password
notice-recovery-locked = Somebody who tried to get back into your account gave too many wrong codes for one of your sign-in methods. You cannot use it to get back in until you have signed in with it. If that was not you, somebody may be reading your e-mail or your messages.
    .subject = Recovery with a sign-in method was locked. If that was not you, check who can read your e-mail and messages
notice-recovery-codes-made = New recovery codes were made for your account. The old ones no longer work.
    .subject = New recovery codes were made
notice-recovery-started = Somebody asked to get back into your account without the password.
    .subject = Account recovery was requested
notice-sign-up-attempt = Somebody tried to open an account with your details. You already have an account, so no new one was opened.
    .subject = You already have an account
    .not-you = If this was you, sign in here. If it was not, there is nothing to do:
    .action = Sign in
notice-account-deleted = Your account was deleted.
    .subject = Your account was deleted
    .not-you = If you have changed your mind, or if this was not you, you can undo it here:
    .action = Keep my account
notice-data-exported = Somebody took a copy of everything that is kept about you in your account.
    .subject = A copy of your data was taken
notice-refresh-reused = A session of your account was used in two places at once, as happens when it is stolen. It was ended.
    .subject = A session was ended for your safety
notice-acted-on-behalf = Somebody from the team of { $host } acted in your account on your behalf.
    .subject = Somebody acted in your account on your behalf
notice-suspended = Your account was suspended. Nobody can sign in to it until the suspension ends.
    .subject = Your account was suspended
notice-restored = Your account is active again. You can sign in.
    .subject = Your account is active again
notice-account-removed = An administrator of { $host } deleted your account.
    .subject = Your account was deleted by an administrator
notice-sessions-ended = An administrator of { $host } signed you out everywhere.
    .subject = You were signed out everywhere
notice-factors-reset = An administrator of { $host } reset your sign-in methods. Add an app or recovery codes again when you have signed in.
    .subject = Your sign-in methods were reset
notice-roles-changed = An administrator changed your role at { $host }.
    .subject = Your role was changed
notice-account-changed = An administrator of { $host } changed your account.
    .subject = Your account was changed by an administrator
notice-account-made = An account at { $host } was created for you.
    .subject = An account was created for you
    .not-you = Choose your password here:
    .action = Choose my password
notice-invited = You are invited to join an organisation at { $host }.
    .subject = You are invited to join an organisation
    .not-you = If you expected this, accept here. Otherwise there is nothing to do:
    .action = See the invitation

# Pages.
page-verify = Confirm that this e-mail address is yours.
    .title = Confirm your e-mail address
    .button = Confirm my e-mail address
    .done = Your e-mail address is confirmed. You can close this page.
    .gone = Perhaps it is confirmed already: look in your account.
page-recover = Enter your username, e-mail address or phone number. If there is such an account, a code goes to an address or number that was confirmed for it.
    .title = Get back into your account
    .off = There is no way back in without help here. Ask whoever looks after this site.
    .identifier = Username, e-mail address or phone number
    .button = Send me a code
    .asked = If there is such an account, a code is on its way. Enter it here.
    .second = One more proof is needed.
    .code = Your code
    .password = New password
    .set = Set the new password
    .done = Your new password is set, and you were signed out everywhere. You can sign in with it now.
page-welcome = Choose your password
    .button = Set my password
    .done = Your password is set. You can sign in with it now.
page-undo = Undo the change? Everybody who is signed in to your account will be signed out. What else was done in it since may be undone as well, and its password may stop working until you set a new one. If something else was not you either, use the link in the message about that, too.
    .title = Undo a change
    .button = Undo it
    .done = It was undone, and everybody was signed out.
    .gone = Perhaps it was undone already.
page-not-me = If that was not you, press the button: everybody is signed out of your account, and its password stops working until you set a new one. Addresses, numbers and ways to sign in may become again what they were when you got the message.
    .title = That was not me
    .button = It was not me
    .done = Everybody was signed out, and the password no longer works. Set a new one to get back in.
    .gone = Perhaps this was done already. Then the old password no longer works: set a new one to get back in.
page-invitation = You are invited to join { $organization }.
    .title = Join an organisation
    .sign-in = Sign in with the address that this invitation went to, then accept.
    .button = Accept the invitation
    .done = You have joined { $organization }. You can close this page.
    .gone = Perhaps you have joined already, or the invitation was withdrawn.
