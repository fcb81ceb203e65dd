
# الصفحات
nav = حسابك
    .skip = الانتقال إلى المحتوى
    .language = اللغة
    .profile = الملف الشخصي
    .security = الأمان
    .devices = الأجهزة
    .activity = السجل
    .organizations = المؤسسات
    .data = بياناتك
optional = اختياري
show = إظهار كلمة المرور
save = حفظ
cancel = إلغاء
remove = إزالة
confirm = تأكيد
confirmed = مؤكَّد
unconfirmed = غير مؤكَّد
none = غير مُدخل
since = منذ
more = عرض الأقدم
back = رجوع

field-username = اسم المستخدم
field-email = البريد الإلكتروني
field-mobile = رقم الهاتف
field-name = الاسم
field-locale = اللغة
field-password = كلمة المرور

sign-in = تسجيل الدخول
    .identifier = اسم المستخدم أو البريد أو رقم الهاتف
    .button = تسجيل الدخول
    .forgot = نسيت كلمة المرور؟
    .new = هل أنت جديد هنا؟
    .create = أنشئ حسابًا
sign-up = أنشئ حسابك
    .mobile-hint = مع رمز الدولة، مثل ‎+966 50 123 4567.
    .button = إنشاء الحساب
    .have = لديك حساب بالفعل؟
sign-out = هل تريد تسجيل الخروج؟
    .button = تسجيل الخروج

code = خطوة أخيرة
    .title-verify = أكّد أنه لك
    .title-step-up = أكّد أنك أنت
    .field = الرمز
    .button = متابعة
    .trust = لا تطلب رمزًا على هذا الجهاز لفترة
    .resend = إرسال مرة أخرى
    .wait = يمكنك طلب إرساله مرة أخرى بعد { $seconds } ث
code-sms = أدخل الرمز الذي أرسلناه برسالة نصية إلى { $to }.
code-call = نتصل الآن بالرقم { $to }. أدخل الرمز الذي تسمعه.
code-email = أدخل الرمز الذي أرسلناه إلى { $to }.
code-totp = أدخل الرمز الذي يعرضه تطبيق المصادقة.
code-recovery_code = أدخل أحد رموز الاسترداد التي احتفظت بها.
way = تجربة طريقة أخرى
way-password = كلمة المرور
way-sms = رسالة نصية
way-call = مكالمة هاتفية
way-email = بريد إلكتروني
way-totp = تطبيق المصادقة
way-recovery_code = رموز الاسترداد
step-up = أكّد أنك أنت
    .intro = ما يلي محميّ. أثبت مرة أخرى أنك أنت.

profile = الملف الشخصي
    .known = كيف نعرفك
    .about = عنك
    .browser = كما في متصفحك
change-username = تغيير اسم المستخدم
change-email = تغيير البريد الإلكتروني
change-mobile = تغيير رقم الهاتف
change = تغيير
    .hint = نرسل رمزًا إلى الجديد، ويحلّ محلّ القديم عندما تدخل ذلك الرمز.

security = الأمان
    .factors = تسجيل الدخول بخطوتين
    .intro = إلى جانب كلمة المرور، تُثبت إحدى هذه الطرق أنك أنت.
    .empty = لا توجد أي طريقة بعد.
    .left = { $count ->
        [zero] لم يبق أي رمز
        [one] بقي رمز واحد
        [two] بقي رمزان
        [few] بقيت { $count } رموز
       *[other] بقي { $count } رمزًا
    }
    .locked = مقفلة بعد رموز خاطئة كثيرة
    .add-sms = استخدام رقم هاتفك
    .add-email = استخدام بريدك الإلكتروني
password = تغيير كلمة المرور
    .current = كلمة المرور الحالية
    .new = كلمة المرور الجديدة
    .hint = { $least } أحرف على الأقل. بضع كلمات معًا يسهل تذكّرها ويصعب تخمينها.
    .check = ما مدى قوتها؟
strength = القوة
strength-0 = ضعيفة جدًا
strength-1 = ضعيفة
strength-2 = مقبولة
strength-3 = جيدة
strength-4 = قوية
totp = إضافة تطبيق مصادقة
    .scan = امسح هذه الصورة بتطبيق المصادقة.
    .qr = رمز QR لتطبيق المصادقة
    .manual = لا يمكنك مسحها؟ اكتب هذا المفتاح في التطبيق.
    .code = الرمز الذي يعرضه التطبيق الآن
    .button = تفعيل
    .again = ابدأ من جديد بصورة جديدة
totp-begin = تطبيق المصادقة على هاتفك ينشئ رموزًا لتسجيل الدخول حتى من دون شبكة. تحتاج إلى التطبيق قبل أن تتابع.
    .button = التالي
factor-add = إضافة
    .text = ستُرسل رموز تسجيل الدخول إلى هناك.
    .button = استخدامه
factor-remove = إزالة طريقة تسجيل الدخول هذه؟
    .text = لن تُثبت بعد ذلك أنك أنت.
    .button = إزالتها
codes = رموز الاسترداد
    .intro = كل رمز من هذه الرموز يتيح لك الدخول مرة واحدة عندما لا يمكنك استخدام هاتفك. احفظها في مكان آمن: لا تُعرض إلا الآن.
    .download = تنزيل
    .print = طباعة
    .done = لقد احتفظت بها
codes-make = إنشاء رموز استرداد
    .text = تحصل على عشرة رموز جديدة، وتتوقف الرموز السابقة عن العمل.
    .button = إنشاء رموز جديدة

devices = أين سجّلت الدخول
    .unknown = جهاز غير معروف
    .this = هذا الجهاز
    .seen = آخر استخدام
    .others = تسجيل الخروج من بقية الأجهزة
    .all = تسجيل الخروج من كل الأجهزة
activity = السجل
    .empty = لم يحدث شيء بعد.
data = بياناتك
    .export = كل ما نحتفظ به عنك
    .export-text = ملف واحد فيه ملفك الشخصي وأجهزتك وما حدث في حسابك.
    .export-button = الحصول على نسخة
    .delete-text = يُغلق حسابك فورًا. وإذا حذفته الآن، يُزال كل ما فيه بعد ‎{ $until }.
    .neither = لا يمكنك هنا الحصول على نسخة ولا حذف الحساب.
export = الحصول على نسخة
    .button = تنزيل الملف
delete = حذف حسابك
    .text = ستُسجَّل خروجًا من كل مكان ولن يتمكن أحد من الدخول.
    .way-back = ويمكنك حتى ‎{ $until } التراجع عن ذلك بالرابط الموجود في الرسالة التي سنرسلها إليك.
    .button = حذف حسابي
    .title-done = تم حذف حسابك
    .done = تم حذف حسابك.
    .undo = إذا غيّرت رأيك فاستخدم الرابط الموجود في الرسالة التي أرسلناها إليك.

said-saved = تم الحفظ.
said-unsaved = لم يتم ذلك بعد. أرسله مرة أخرى من فضلك.
said-verified = شكرًا، تم التأكيد.
said-signed-out = تم تسجيل خروجك.
said-password = كلمة المرور الجديدة جاهزة، وتم تسجيل الخروج من كل الأجهزة الأخرى.
said-factor = أصبح جاهزًا للاستخدام.
said-removed = تمت الإزالة.
said-ended = تم تسجيل الخروج هناك.
said-made = حسابك جاهز. سجّل الدخول للمتابعة.
said-gone = لم يعد هذا الرمز مطلوبًا: فقد استُخدم، أو استغرق وقتًا طويلًا، أو تكررت المحاولات. ابدأ من جديد من فضلك.
said-not-asked = لم يعد هذا الرمز مطلوبًا: فقد استُخدم، أو استغرق وقتًا طويلًا، أو تكررت المحاولات. ترى هنا ما تم تأكيده.
said-done = تم.
said-stopped = لقد عدت إلى حسابك.
said-no-longer = تم تسجيل خروجك: انتهت جلستك. سجّل الدخول للمتابعة.
said-invited = الدعوة في الطريق.

error = هناك ما يمنع ذلك
    .home = إلى حسابك
    .wait = { $seconds ->
        [zero] حاول الآن من جديد.
        [one] حاول من جديد بعد ثانية.
        [two] حاول من جديد بعد ثانيتين.
        [few] حاول من جديد بعد { $seconds } ثوانٍ.
       *[other] حاول من جديد بعد { $seconds } ثانية.
    }
    .wait-minutes = { $count ->
        [one] حاول من جديد بعد دقيقة.
        [two] حاول من جديد بعد دقيقتين.
        [few] حاول من جديد بعد { $count } دقائق.
       *[other] حاول من جديد بعد { $count } دقيقة.
    }
    .wait-hours = { $count ->
        [one] حاول من جديد بعد ساعة.
        [two] حاول من جديد بعد ساعتين.
        [few] حاول من جديد بعد { $count } ساعات.
       *[other] حاول من جديد بعد { $count } ساعة.
    }
    .id = إذا طلبت المساعدة فاذكر هذا الرقم:

problem-other = لم ينجح ذلك. ارجع وحاول مرة أخرى.
problem-credentials-wrong = الاسم أو كلمة المرور غير صحيح.
problem-unauthenticated = سجّل الدخول أولًا.
problem-code-wrong = هذا ليس الرمز. راجع أحدث رسالة وحاول مرة أخرى.
problem-code-gone = لم يعد هذا الرمز أو الرابط صالحًا. ابدأ من جديد من فضلك.
problem-cross-site = أُرسل هذا من موقع آخر، لذلك لم يُنفَّذ شيء.
problem-step-up-required = أثبت مرة أخرى أنك أنت من فضلك.
problem-factor-missing = يتطلب هذا طريقة لتسجيل الدخول ليست لديك أو أنها مقفلة. أضف واحدة أولًا في صفحة «الأمان».
problem-operation-never = هذا غير ممكن هنا.
problem-factor-locked = رموز خاطئة كثيرة: هذه الطريقة مقفلة. استخدم طريقة أخرى أو اطلب المساعدة.
problem-sign-up-closed = لا يمكن إنشاء حسابات جديدة هنا حاليًا.
problem-not-found = لا يوجد شيء هنا.
problem-identifier-taken = هذا مستخدَم بالفعل. اختر غيره.
problem-factor-required = أضف طريقة أخرى لتسجيل الدخول قبل إزالة هذه.
problem-invalid = راجع ما هو معلَّم أدناه من فضلك.
problem-immutable-field = لا يمكن تغيير هذا هنا.
problem-limit-reached = محاولات كثيرة جدًا. انتظر قليلًا ثم حاول مرة أخرى.
problem-limit-reached-sending = لا يمكننا إرسال رسالة أخرى بعد.
problem-messages-paused = لا يمكن إرسال رسائل نصية حاليًا. استخدم طريقة أخرى أو حاول لاحقًا.
problem-number-not-served = لا يمكننا إرسال شيء إلى هذا الرقم.
problem-not-carried = لا يمكننا إرسال رسائل من هذا النوع. استخدم طريقة أخرى.
problem-internal = حدث خطأ من جهتنا. حاول لاحقًا من فضلك.
problem-busy = هناك ضغط كبير الآن. حاول بعد لحظات.
problem-unavailable = هذا غير متاح حاليًا. حاول لاحقًا من فضلك.
problem-acting-never = لا يمكن القيام بهذا نيابةً عن شخص آخر.
problem-not-allowed = لا يحق لك القيام بهذا هنا.
problem-last-administrator = يجب أن يبقى شخص يتولى هذا. عيّن شخصًا آخر أولًا.

wrong-other = لا يمكن قبول هذا.
wrong-missing = املأ هذا الحقل من فضلك.
wrong-too-short = هذا قصير جدًا.
wrong-too-long = هذا طويل جدًا.
wrong-invalid = هذا غير مكتوب كما ينبغي.
wrong-taken = هذا مستخدَم بالفعل.
wrong-in-use = تحتاج إلى هذا لتسجيل الدخول. أضف طريقة أخرى أولًا.
wrong-domain = لا تُقبل هنا عناوين هذا النطاق.
wrong-kind-alone = رموز الاسترداد بديل عن طريقة أخرى لتسجيل الدخول. أضف واحدة أولًا.
wrong-factor-none = تُطلب منك هنا خطوة ثانية وليست لديك أي منها. اطلب المساعدة.
wrong-not-invited = استخدم العنوان الذي وصلت إليه الدعوة.
wrong-invitation-other-address = وصلت هذه الدعوة إلى عنوان آخر. سجّل الدخول بالحساب الذي يملكه، أو أضف ذلك العنوان إلى حسابك وأكّده.
wrong-current_password-wrong = هذه ليست كلمة مرورك الحالية.
wrong-username-invalid = يتكون اسم المستخدم من حروف وأرقام و . - _ فقط، من دون مسافات، وفيه حرف واحد على الأقل.
wrong-code-totp = هذا ليس الرمز الذي يعرضه التطبيق الآن. انتظر الرمز التالي وجرّبه.
wrong-code-recovery_code = هذا ليس من رموز الاسترداد الخاصة بك، أو سبق استخدامه. جرّب رمزًا آخر.
wrong-member = هذا عنوان أحد الأعضاء.
wrong-common = يستخدم كثيرون كلمة المرور هذه، لذلك تُخمَّن أولًا. اختر غيرها.
wrong-breached = سُرقت كلمة المرور هذه من موقع آخر. اختر واحدة لا تستخدمها في أي مكان آخر.
wrong-context = هذه قريبة جدًا من اسمك أو عنوانك أو اسم هذا الموقع.
wrong-same = هذا هو ما لديك الآن.
wrong-email-invalid = هذا ليس عنوان بريد إلكتروني.
wrong-mobile-invalid = هذا ليس رقم هاتف. اكتبه مع رمز الدولة، مثل ‎+966 50 123 4567.
wrong-past = هذا ليس في المستقبل.
wrong-owner-unknown = لا يوجد هنا أحد بهذا الاسم.
wrong-wrong-value = هذه القيمة غير ممكنة هنا.

event-signed_up = فتحت حسابك.
event-sign_in_failed = حاول شخص ما تسجيل الدخول ولم ينجح.
event-password_wrong = أُدخلت كلمة مرور خاطئة أثناء تسجيل دخولك.
event-code_sent = أُرسل إليك رمز.
event-code_wrong = أُدخل رمز خاطئ.
event-factor_locked = أُقفلت طريقة لتسجيل الدخول بعد رموز خاطئة كثيرة.
event-factor_unlocked = أُعيد فتح طريقة مقفلة لتسجيل دخولك.
event-identifier_verified = أكّدت عنوانًا أو رقمًا.
event-call_asked = طلبت مكالمة.
event-call_ended = انتهت إحدى مكالماتك.
event-signed_in = سجّلت الدخول.
event-stepped_up = أثبتّ مرة أخرى أنك أنت.
event-refresh_reused = أُنهيت جلسة حفاظًا على أمانك.
event-signed_out = أُنهيت جلسة.
event-device_forgotten = تم نسيان جهاز.
event-profile_changed = تغيّر حسابك.
event-account_deleted = حذفت حسابك.
event-exported = أخذت نسخة من بياناتك.
event-undone = أُلغي أحد التغييرات.
event-password_changed = غيّرت كلمة المرور.
event-recovery_asked = طلب شخص ما استعادة الدخول إلى حسابك.
event-recovery_begun = بدأ شخص ما استعادة الدخول إلى حسابك برمز.
event-recovered = عُيّنت كلمة مرور جديدة بالاسترداد.
event-message_failed = تعذّر تسليم رسالة إليك.
event-factor_added = أُضيفت طريقة لتسجيل الدخول.
event-factor_removed = أُزيلت طريقة لتسجيل الدخول.
event-factor_renamed = أُعيدت تسمية طريقة لتسجيل الدخول.
event-recovery_codes_made = أُنشئت رموز استرداد.
event-acting_began = بدأ أحد أعضاء الفريق بالعمل في حسابك نيابةً عنك.
event-suspended = تم تعليق حسابك.
event-restored = أُعيد فتح حسابك.
event-account_changed = غيّر مسؤول حسابك.
event-link_made = أُرسل إليك رابط جديد لتعيين كلمة المرور.
event-sessions_ended = أنهى مسؤول جلساتك.
event-factors_reset = أعاد مسؤول ضبط طرق تسجيل دخولك.
event-roles_changed = تغيّر ما يحق لك القيام به هنا.
event-member_joined = انضممت إلى مؤسسة.
event-member_changed = تغيّر دورك في مؤسسة.
event-member_removed = لم تعد عضوًا في مؤسسة.
event-recovery_locked = قُفلت طريقة لإثبات هويتك عند استعادة الحساب بعد رموز خاطئة كثيرة.
event-spending_warned = أُنفق معظم المبلغ اليومي المخصص للرسائل.
event-spending_stopped = نفد المبلغ اليومي المخصص للرسائل.
event-service_account_made = أُنشئ حساب خدمة.
event-service_account_removed = أُزيل حساب خدمة.
event-api_key_made = أُنشئ مفتاح API.
event-api_key_revoked = أُلغي مفتاح API.
event-users_imported = استُقدم مستخدمون من نظام آخر.
event-sessions_imported = استُقدمت جلسات من نظام آخر.
event-account_made = أُنشئ حساب لك.
event-account_removed = حذف مسؤول حسابك.
event-organization_made = أُسست مؤسسة.
event-organization_changed = تغير اسم مؤسسة.
event-organization_ended = أُنهيت مؤسسة.
event-invited = دُعي شخص إلى مؤسسة.
event-invitation_ended = سُحبت دعوة.
event-event_resent = يُبلَّغ التطبيق بحدث مرة أخرى.
