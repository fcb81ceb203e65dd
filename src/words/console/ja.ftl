
# The console.
console = 管理画面
    .account = ご自分のアカウント
    .nothing = ここには何もありません。
console-keys = 鍵
    .signing = アクセストークンに署名する鍵
    .signing-text = トークンには署名した鍵の名前が入ります。新しい鍵は署名を始める前に公開され、古い鍵はそのトークンが有効な間公開されます。
    .sealing = 保存データを封印する鍵
    .sealing-text = 最初の鍵が封印し、どの鍵でも開けます。設定で指定します。
    .name = 名前
    .algorithm = 方式
    .from = 署名開始
    .until = 署名終了
    .counts = 有効期限
    .first = 封印に使用
